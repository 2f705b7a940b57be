/** Who wants to know when a run changes. A watcher that is slow sees the newest state, not each one in between. */
import type { AppError } from '#common/errors.ts';

export interface Watchers {
  changed(runId: string): void;
  watch(runId: string, signal: AbortSignal): Watch;
  count(): number;
  /** Each watcher's `next` rejects: the controller goes, or does not lead any more; the watcher may come back. */
  stop(why: AppError): void;
}

export interface Watch extends Disposable {
  /** Resolves at the next change after the last one it told of; rejects with the signal's reason. */
  next(): Promise<void>;
}

export function createWatchers(): Watchers {
  const wakers = new Map<string, Set<() => void>>();
  let stopped: AppError | undefined;
  return {
    changed(runId) {
      for (const wake of wakers.get(runId) ?? []) wake();
    },
    watch(runId, signal) {
      let dirty = false;
      let resume: (() => void) | undefined;
      const wake = () => {
        dirty = true;
        resume?.();
      };
      const mine = wakers.get(runId) ?? new Set();
      wakers.set(runId, mine.add(wake));
      signal.addEventListener('abort', wake, { once: true });
      return {
        async next() {
          if (!dirty) await new Promise<void>((resolve) => (resume = resolve));
          resume = undefined;
          dirty = false;
          signal.throwIfAborted();
          if (stopped !== undefined) throw stopped;
        },
        [Symbol.dispose]() {
          signal.removeEventListener('abort', wake);
          mine.delete(wake);
          if (mine.size === 0) wakers.delete(runId);
        },
      };
    },
    stop(why) {
      stopped = why;
      for (const set of wakers.values()) for (const wake of set) wake();
    },
    count: () => [...wakers.values()].reduce((sum, set) => sum + set.size, 0),
  };
}
