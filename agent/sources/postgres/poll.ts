/** Looks again and again at how far a long tool is, while it works. */
import type { Clock } from '#common/clock.ts';
import { toAppError } from '#common/errors.ts';
import type { SourceIo } from '../source.ts';

/** The work's own outcome. A look that fails is told and is the last: it is no reason to give up the work. */
export async function whilePolling<T>(
  work: Promise<T>,
  of: { readonly everyMs: number; readonly clock: Clock; readonly io: SourceIo },
  look: () => Promise<void>,
): Promise<T> {
  const ended = new AbortController();
  const looking = lookUntil(ended.signal, of, look);
  try {
    return await work;
  } finally {
    ended.abort();
    await looking;
  }
}

async function lookUntil(
  ended: AbortSignal,
  { everyMs, clock, io }: { readonly everyMs: number; readonly clock: Clock; readonly io: SourceIo },
  look: () => Promise<void>,
): Promise<void> {
  try {
    while (!ended.aborted) {
      await look();
      await clock.sleep(everyMs, ended);
    }
  } catch (error) {
    if (!ended.aborted) io.log('warn', `${toAppError(error, 'look at the progress').message}; no further progress is shown`);
  }
}
