/** Sets that are being read by somebody who waits: nothing may delete them meanwhile. */
export interface Reading {
  has(setId: string): boolean;
  /** Until it is disposed of. */
  hold(setId: string): Disposable;
}

export function createReading(): Reading {
  const holders = new Map<string, number>();
  const add = (setId: string, by: number) => {
    const left = (holders.get(setId) ?? 0) + by;
    if (left === 0) holders.delete(setId);
    else holders.set(setId, left);
  };
  return {
    has: (setId) => holders.has(setId),
    hold(setId) {
      add(setId, 1);
      return { [Symbol.dispose]: () => add(setId, -1) };
    },
  };
}
