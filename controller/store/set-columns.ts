/** What is asked of sets again and again, as columns: whether one goes, and which vaults hold all of it. */
import { holdersOf } from '../model.ts';
import type { BackupSet } from '../model.ts';

export function setColumns(set: BackupSet): { deleting: number; held_by: string } {
  // Node names have no comma.
  return { deleting: set.deleting ? 1 : 0, held_by: holdersOf(set).join(',') };
}

/** What is also held elsewhere, as by a node that was a management node once, lacks nothing. */
export function heldByEach(heldBy: string, nodes: readonly string[]): boolean {
  const holders = heldBy.split(',');
  return nodes.every((node) => holders.includes(node));
}
