/** What is asked of sets again and again, as columns: whether one goes, and which vaults hold all of it. */
import type { BackupSet } from '../model.ts';

export function setColumns({ deleting, files }: BackupSet): { deleting: number; held_by: string } {
  const nodes = [...new Set(files.flatMap((held) => held.nodes))];
  return {
    deleting: deleting ? 1 : 0,
    held_by: heldBy(nodes.filter((node) => files.every((held) => held.nodes.includes(node)))),
  };
}

/** Node names have no comma. */
export function heldBy(nodes: readonly string[]): string {
  return nodes.toSorted().join(',');
}
