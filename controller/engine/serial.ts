/** One at a time, in the order of asking: what reads the world, decides and writes must not interleave with its like. */
export type Serial = <T>(work: () => Promise<T>) => Promise<T>;

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    // The next one waits for the end of this, good or bad; the caller of this one sees its failure.
    last = mine.catch(() => undefined);
    return mine;
  };
}
