/** Who wants to know when a run changes. A watcher that is slow sees the newest state, not each one in between. */
export interface Watchers {
  changed(runId: string): void;
  /** Resolves at the next change after the last one it told of; rejects with the signal's reason. */
  watch(runId: string, signal: AbortSignal): Watch;
  count(): number;
}

export interface Watch extends Disposable {
  next(): Promise<void>;
}

export function createWatchers(): Watchers {
  const wakers = new Map<string, Set<() => void>>();
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
        },
        [Symbol.dispose]() {
          signal.removeEventListener('abort', wake);
          mine.delete(wake);
          if (mine.size === 0) wakers.delete(runId);
        },
      };
    },
    count: () => [...wakers.values()].reduce((sum, set) => sum + set.size, 0),
  };
}
