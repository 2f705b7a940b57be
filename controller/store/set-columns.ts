/** What is asked of sets again and again, as columns: whether one goes, and which vaults hold all of it. */
import { holdersOf } from '../model.ts';
import type { BackupSet } from '../model.ts';

export function setColumns(set: BackupSet): { deleting: number; held_by: string } {
  return { deleting: set.deleting ? 1 : 0, held_by: heldBy(holdersOf(set)) };
}

/** Node names have no comma. */
export function heldBy(nodes: readonly string[]): string {
  return nodes.toSorted().join(',');
}
