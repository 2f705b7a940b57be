/** Which sets of a task go. Only whole ones count as copies; the newest whole one never goes, nor one that is being read. */
export interface KeptSet {
  readonly id: string;
  /** Every source is there, on the active management node at least. */
  readonly whole: boolean;
  readonly inUse: boolean;
}

/**
 * Of sets in the order they were made, oldest first; not by their times, which a clock that was wrong for a day has mixed up.
 * An incomplete set goes when `copies` newer whole ones make it worthless.
 */
export function setsToDelete(oldestFirst: readonly KeptSet[], copies: number): string[] {
  const whole = oldestFirst.filter((set) => set.whole);
  const oldestKept = whole.at(-Math.max(1, copies));
  if (oldestKept === undefined) return [];
  return oldestFirst
    .slice(0, oldestFirst.indexOf(oldestKept))
    .filter(({ inUse }) => !inUse)
    .map(({ id }) => id);
}
