/** What is taken from a source before it is asked for. */

/**
 * Keeps `limit` items taken, that which the caller holds among them, so that source and caller work at the same time.
 * The signal ends it at once, even when the source hangs.
 */
export async function* readAhead<T extends object>(
  source: AsyncIterable<T>,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const ready: T[] = [];
  const end: { reached: boolean; failure: { readonly error: unknown } | undefined } = { reached: false, failure: undefined };
  let wakeCaller = () => {};
  let wakeSource = () => {};

  const take = async () => {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true || end.reached) break;
      ready.push(next.value);
      wakeCaller();
      while (ready.length >= limit && !end.reached) await new Promise<void>((resolve) => (wakeSource = resolve));
    }
  };
  const close = (failure?: { readonly error: unknown }) => {
    if (!end.reached) end.failure = failure;
    end.reached = true;
    wakeCaller();
    wakeSource();
  };
  const abort = () => close({ error: signal.reason });
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  take().then(
    () => close(),
    (error: unknown) => close({ error }),
  );
  try {
    for (;;) {
      const [item] = ready;
      if (item !== undefined && !signal.aborted) {
        yield item;
        ready.shift();
        wakeSource();
      } else if (end.failure !== undefined) throw end.failure.error;
      else if (end.reached) return;
      else await new Promise<void>((resolve) => (wakeCaller = resolve));
    }
  } finally {
    signal.removeEventListener('abort', abort);
    close();
    // Not waited for: a source that hangs is its owner's to end. It is told that nobody wants more.
    iterator.return?.().then(undefined, () => undefined);
  }
}
