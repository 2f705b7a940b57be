/** Looks again and again at how far a long tool is, while it works. */
import type { Clock } from '#common/clock.ts';

/** The work's own outcome. A failing look ends it as well, after the work. */
export async function whilePolling<T>(work: Promise<T>, everyMs: number, clock: Clock, look: () => Promise<void>): Promise<T> {
  const ended = new AbortController();
  const looking = (async () => {
    while (!ended.signal.aborted) {
      await look();
      try {
        await clock.sleep(everyMs, ended.signal);
      } catch (error) {
        if (!ended.signal.aborted) throw error;
      }
    }
  })();
  try {
    const [result] = await Promise.all([work.finally(() => ended.abort()), looking]);
    return result;
  } finally {
    ended.abort();
    await Promise.allSettled([work, looking]);
  }
}
