/** A stop that does not wait for ever: whatever hangs, the process ends, and its next start puts right what was under way. */
import type { Clock } from '#common/clock.ts';

/** False when it has not stopped by then. */
export async function stopInTime(stop: () => Promise<void>, ms: number, clock: Clock): Promise<boolean> {
  const stopped = new AbortController();
  const late = clock.sleep(ms, stopped.signal).then(
    () => false,
    () => true,
  );
  try {
    return await Promise.race([stop().then(() => true), late]);
  } finally {
    stopped.abort();
  }
}
