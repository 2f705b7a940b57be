/** Which sets of a task go. Only whole ones count as copies; the newest whole one never goes, nor one that is being read. */
export interface KeptSet {
  readonly id: string;
  readonly createdMs: number;
  /** Every source is there, on the active management node at least. */
  readonly whole: boolean;
  readonly inUse: boolean;
  readonly deleting: boolean;
}

/** Ids, oldest first. An incomplete set goes when `copies` newer whole ones make it worthless. */
export function setsToDelete(sets: readonly KeptSet[], copies: number): string[] {
  const newestFirst = sets.filter((set) => !set.deleting).sort((a, b) => b.createdMs - a.createdMs);
  const kept = newestFirst.filter(({ whole }) => whole).slice(0, Math.max(1, copies));
  const oldestKept = kept.at(-1);
  if (oldestKept === undefined || kept.length < copies) return [];
  return newestFirst
    .filter((set) => !set.inUse && set.createdMs < oldestKept.createdMs)
    .map(({ id }) => id)
    .toReversed();
}
