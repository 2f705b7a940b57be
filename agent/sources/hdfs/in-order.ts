/** Work done ahead and several pieces at once, its results handed on in order. */
export async function* inOrder<T>(
  coming: AsyncIterable<{ make(): Promise<T> }>,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const window: Promise<T>[] = [];
  try {
    for await (const one of coming) {
      signal.throwIfAborted();
      const work = one.make();
      // Its failure is met when its turn comes.
      work.catch(() => undefined);
      window.push(work);
      const first = window.length < limit ? undefined : window.shift();
      if (first !== undefined) yield await first;
    }
    for (let first = window.shift(); first !== undefined; first = window.shift()) yield await first;
  } finally {
    await Promise.allSettled(window);
  }
}
