/**
 * The difference of two snapshots, a page at a time, so that a difference of any size needs no more memory than a page. Tried on HDFS 3.4.2:
 *
 * - Every path is that of the OLD snapshot, also below a directory that was renamed since; of a creation, the old path of its directory with
 *   the new name. Only `target` is a path of the new one. So what happened in a directory is asked for by what it was called before.
 * - A rename is a deletion with a target and a creation that says `isRenamed`, with one file id. What changed below is told, by old paths.
 *   One into a directory that is new has no creation of its own; one there and back has the target that is its path.
 * - What was moved out of a directory that is gone itself has a creation that says `isRenamed`, and no deletion, and **what changed below it is
 *   not told**. What came from outside the root has a creation alone. Both are to be walked as new.
 * - A file that was overwritten, or deleted and made anew, is a deletion and a creation with two ids; an append, a truncation, and a change of
 *   owner, mode, ACL, extended attributes or replication a modification. A directory is modified when its children or its own attributes are.
 * - **A change of times alone is not told** (`touch`, SETTIMES), nor is **a file that was cut and written to its old size again**: of a file HDFS
 *   compares its size and its attributes but the times.
 * - Of a directory below the snapshottable one paths are relative to it. What was moved into it from elsewhere in the snapshots has a creation
 *   that says `isRenamed`, and no deletion; what was moved out, a deletion without a target.
 */
import { z } from 'zod';
import type { Caller } from './call.ts';
import { parseAnswer } from './status.ts';

/** Paths are relative to the snapshot root; empty: the root itself. */
export interface SnapshotDiff {
  readonly kind: 'create' | 'delete' | 'modify';
  readonly path: string;
  /** Of a deletion that is a rename within the root: the new path. */
  readonly target: string | undefined;
  readonly fileId: bigint;
  /** Of the directory that it lies in; of a modification, its own. */
  readonly directoryId: bigint;
  /** Of a creation: it was there before, under another name. */
  readonly isRenamed: boolean;
}

const entry = z.object({
  dirId: z.int().nonnegative(),
  fileId: z.int().nonnegative(),
  sourcePath: z.string().default(''),
  targetPath: z.string().optional(),
  isReference: z.boolean().default(false),
});
const report = z.object({
  SnapshotDiffReportListing: z.object({
    createList: z.array(entry),
    deleteList: z.array(entry),
    modifyList: z.array(entry),
    lastPath: z.string().default(''),
    lastIndex: z.int(),
  }),
});
/** The index of a page that goes on before a directory or file, not amidst the children of one; the last page has it, too, without a path. */
const BEFORE = -1;

export async function* snapshotDiff(
  caller: Caller,
  root: string,
  from: string,
  to: string,
  signal: AbortSignal,
): AsyncGenerator<SnapshotDiff, void, undefined> {
  const doing = `compare the snapshots ${from} and ${to} of ${root}`;
  let place: { readonly snapshotdiffstartpath: string; readonly snapshotdiffindex: number } | undefined;
  do {
    const parameters = { oldsnapshotname: from, snapshotname: to, ...place };
    const answer = await caller.ask({ method: 'GET', op: 'GETSNAPSHOTDIFFLISTING', path: root, parameters, doing }, signal);
    const page = parseAnswer(report, answer, doing).SnapshotDiffReportListing;
    for (const each of page.modifyList) yield diffOf('modify', each);
    for (const each of page.createList) yield diffOf('create', each);
    for (const each of page.deleteList) yield diffOf('delete', each);
    const { lastPath, lastIndex } = page;
    const isLast = lastPath === '' && lastIndex === BEFORE;
    place = isLast ? undefined : { snapshotdiffstartpath: lastPath, snapshotdiffindex: lastIndex };
  } while (place !== undefined);
}

function diffOf(
  kind: SnapshotDiff['kind'],
  { sourcePath, targetPath, fileId, dirId, isReference }: z.output<typeof entry>,
): SnapshotDiff {
  return {
    kind,
    path: sourcePath,
    target: kind === 'delete' && targetPath !== undefined ? targetPath : undefined,
    fileId: BigInt(fileId),
    directoryId: BigInt(dirId),
    isRenamed: kind === 'create' && isReference,
  };
}
