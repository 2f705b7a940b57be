/** What HDFS says has changed below a root between two snapshots, by what the incremental asks: file ids, and old paths. */
import type { SnapshotDiff } from '../../hdfs/webhdfs.ts';
import { join } from './paths.ts';

export interface Changes {
  /** Its content, its attributes or, of a directory, its children are not what they were. Changes of times alone are not told. */
  isModified(fileId: bigint): boolean;
  /** What it was called, when it was renamed; undefined: it was not, or nothing is known of it, and then it is as new. */
  oldPath(fileId: bigint): string | undefined;
  readonly count: number;
}

export async function readChanges(root: string, differences: AsyncIterable<SnapshotDiff>): Promise<Changes> {
  const modified = new Set<bigint>();
  const renamed = new Map<bigint, string>();
  let count = 0;
  for await (const { kind, path, target, fileId } of differences) {
    count++;
    if (kind === 'modify') modified.add(fileId);
    if (kind === 'delete' && target !== undefined) renamed.set(fileId, path === '' ? root : join(root, path));
  }
  return { isModified: (fileId) => modified.has(fileId), oldPath: (fileId) => renamed.get(fileId), count };
}
