/**
 * Since when this controller can hear its agents: its start, or the end of a pause of its own (SIGSTOP, a machine put to sleep), for then it
 * heard nobody, and that is no agent's fault. Told by a sleep that took much longer than was asked for, so neither a long tick nor a slow
 * database counts as one. Looked at when it is asked for, too: whoever wakes up first finds it.
 */
import type { Clock } from '#common/clock.ts';

export interface Listening {
  /** On the monotonic clock. */
  readonly since: number;
  /** Sleeps in short steps, until it is told to stop. */
  keep(stopping: AbortSignal): Promise<void>;
}

export function createListening(clock: Clock, leaseMs: number): Listening {
  const stepMs = leaseMs / 8;
  let since = clock.monotonic();
  let lookedAt = since;

  function look(): number {
    const now = clock.monotonic();
    if (now - lookedAt - stepMs > leaseMs / 2) since = now;
    lookedAt = now;
    return since;
  }

  return {
    get since() {
      return look();
    },
    async keep(stopping) {
      while (!stopping.aborted) {
        look();
        await clock.sleep(stepMs, stopping).catch(() => undefined);
      }
    },
  };
}
