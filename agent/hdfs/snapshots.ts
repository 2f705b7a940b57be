/** Snapshots, and the directories that may have them. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import type { Caller } from './call.ts';
import { exceptionName } from './remote-error.ts';
import { snapshotDiff } from './snapshot-diff.ts';
import type { SnapshotDiff } from './snapshot-diff.ts';
import { fileStatus, parseAnswer } from './status.ts';

export interface Snapshot {
  readonly name: string;
  /** When it was taken. */
  readonly takenMs: number;
  /** Of the directory that it was taken of. */
  readonly fileId: bigint;
}

export interface SnapshottableDirectory {
  readonly path: string;
  readonly snapshots: number;
  readonly fileId: bigint;
}

export interface SnapshotCalls {
  /** Needs a superuser; of a directory that may have them already it changes nothing. @throws AppError REFUSED below or above another. */
  allowSnapshot(path: string, signal: AbortSignal): Promise<void>;
  /** @throws AppError REFUSED while it has snapshots. */
  disallowSnapshot(path: string, signal: AbortSignal): Promise<void>;
  /** @throws AppError REFUSED when it has as many as it may, or one of this name. */
  createSnapshot(path: string, name: string, signal: AbortSignal): Promise<void>;
  /** One that is gone is no error. */
  deleteSnapshot(path: string, name: string, signal: AbortSignal): Promise<void>;
  /** Those that the user may see: all of them, for a superuser. */
  snapshottableDirectories(signal: AbortSignal): Promise<readonly SnapshottableDirectory[]>;
  /** Of a directory that may have them, oldest first. */
  snapshots(path: string, signal: AbortSignal): Promise<readonly Snapshot[]>;
  /** What differs between two snapshots of `root`; see snapshot-diff.ts for what is told of renames. */
  snapshotDiff(root: string, from: string, to: string, signal: AbortSignal): AsyncIterable<SnapshotDiff>;
}

/** HDFS says null for a list of none. */
const listOf = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullable()
    .transform((list) => list ?? []);
const directories = z.object({
  SnapshottableDirectoryList: listOf(
    z.object({ dirStatus: fileStatus, parentFullPath: z.string(), snapshotNumber: z.int().nonnegative() }),
  ),
});
const snapshotList = z.object({
  SnapshotList: listOf(z.object({ dirStatus: fileStatus, snapshotID: z.int() })),
});
const isSnapshotRefusal = (error: AppError) => exceptionName(error) === 'SnapshotException';

export function createSnapshotCalls(caller: Caller): SnapshotCalls {
  async function snapshotsOf(path: string, signal: AbortSignal): Promise<readonly Snapshot[]> {
    const doing = `list the snapshots of ${path}`;
    const answer = await caller.ask({ method: 'GET', op: 'GETSNAPSHOTLIST', path, doing }, signal);
    return parseAnswer(snapshotList, answer, doing)
      .SnapshotList.toSorted((a, b) => a.snapshotID - b.snapshotID)
      .map(({ dirStatus }) => ({ name: dirStatus.name, takenMs: dirStatus.modifiedMs, fileId: dirStatus.fileId }));
  }

  async function has(path: string, snapshot: string, signal: AbortSignal): Promise<boolean> {
    return (await snapshotsOf(path, signal)).some(({ name }) => name === snapshot);
  }

  return {
    async allowSnapshot(path, signal) {
      await caller.ask({ method: 'PUT', op: 'ALLOWSNAPSHOT', path, doing: `allow snapshots of ${path}` }, signal);
    },
    async disallowSnapshot(path, signal) {
      await caller.ask({ method: 'PUT', op: 'DISALLOWSNAPSHOT', path, doing: `disallow snapshots of ${path}` }, signal);
    },
    async createSnapshot(path, snapshotname, signal) {
      const doing = `take the snapshot ${snapshotname} of ${path}`;
      let repeated = false;
      const onRepeat = () => void (repeated = true);
      try {
        await caller.ask({ method: 'PUT', op: 'CREATESNAPSHOT', path, parameters: { snapshotname }, doing, onRepeat }, signal);
      } catch (error) {
        // What was done the first time is refused the second time.
        if (!(repeated && error instanceof AppError && isSnapshotRefusal(error) && (await has(path, snapshotname, signal))))
          throw error;
      }
    },
    async deleteSnapshot(path, snapshotname, signal) {
      const doing = `delete the snapshot ${snapshotname} of ${path}`;
      const call = { method: 'DELETE', op: 'DELETESNAPSHOT', path, parameters: { snapshotname }, doing } as const;
      try {
        await caller.ask(call, signal);
      } catch (error) {
        if (!(error instanceof AppError) || !isSnapshotRefusal(error)) throw error;
        // It says so of one that is gone, too.
        if (await has(path, snapshotname, signal)) throw error;
      }
    },
    async snapshottableDirectories(signal) {
      const doing = 'list the directories that have snapshots';
      const answer = await caller.ask({ method: 'GET', op: 'GETSNAPSHOTTABLEDIRECTORYLIST', path: '/', doing }, signal);
      return parseAnswer(directories, answer, doing).SnapshottableDirectoryList.map(
        ({ dirStatus, parentFullPath, snapshotNumber }) => ({
          path: `${parentFullPath === '/' ? '' : parentFullPath}/${dirStatus.name}`,
          snapshots: snapshotNumber,
          fileId: dirStatus.fileId,
        }),
      );
    },
    snapshots: snapshotsOf,
    snapshotDiff: (root, from, to, signal) => snapshotDiff(caller, root, from, to, signal),
  };
}
