/** Our snapshots in HDFS: taken, kept, and given up, with what they needed to be allowed. */
import { AppError } from '#common/errors.ts';
import type { WebHdfs } from '../../hdfs/webhdfs.ts';
import type { SourceIo } from '../source.ts';
import type { TaskName } from '../point-source.ts';
import type { Allowed } from './allowed.ts';
import type { Root } from './roots.ts';
import { isOfTask, isOurs, saysAllowed, snapshotName } from './snapshot-names.ts';

/** A root and its snapshot: what a base is recognized by. */
export interface RootSnapshot {
  readonly path: string;
  /** Of the directory: another one of that path is not it. */
  readonly fileId: bigint;
  readonly snapshot: string;
  /** Another snapshot of that name is not it. */
  readonly takenMs: number;
}

export interface Snapshots {
  /** One of each root. When one cannot be taken, the others are there still: they are to be given up. */
  take(roots: readonly Root[], task: TaskName, startedMs: number): Promise<readonly RootSnapshot[]>;
  /** Whether it is there still, and is the one that it was. */
  isThere(root: RootSnapshot): Promise<boolean>;
  /**
   * Of all ours of this task, those that `choose` picks out of what a directory has, newest first; then what nobody needs is disallowed.
   * Tells what went. Repeatable.
   */
  giveUp(task: TaskName, choose: (snapshots: readonly string[]) => readonly string[]): Promise<readonly string[]>;
}

export function createSnapshots(hdfs: WebHdfs, allowed: Allowed, { signal, log }: Pick<SourceIo, 'signal' | 'log'>): Snapshots {
  async function takeOne({ path, isSnapshottable }: Root, task: TaskName, startedMs: number): Promise<RootSnapshot> {
    const before = isSnapshottable ? await hdfs.snapshots(path, signal) : [];
    const recorded = (await allowed.list()).includes(path);
    const allow = !isSnapshottable || recorded || before.some(({ name }) => isOurs(name) && saysAllowed(name));
    if (!isSnapshottable) {
      await allowed.add(path);
      await hdfs.allowSnapshot(path, signal);
      log('info', `allowed snapshots of ${path}: they are disallowed again when the last of ours is gone`);
    }
    const name = snapshotName(task, startedMs, allow);
    await hdfs.createSnapshot(path, name, signal);
    const taken = (await hdfs.snapshots(path, signal)).find((each) => each.name === name);
    if (taken === undefined) throw new AppError('FAILED', `the snapshot ${name} of ${path} is gone as soon as it was taken`);
    return { path, fileId: taken.fileId, snapshot: name, takenMs: taken.takenMs };
  }

  /** As it was before us, when we were the ones who allowed it and nobody else has any there. */
  async function disallowIfOurs(path: string, wasAllowedByUs: boolean): Promise<void> {
    if (!wasAllowedByUs || (await hdfs.snapshots(path, signal)).length > 0) return;
    await hdfs.disallowSnapshot(path, signal);
    await allowed.remove(path);
    log('info', `${path} has no snapshots any more, and may have none, as before`);
  }

  return {
    async take(roots, task, startedMs) {
      const taken: RootSnapshot[] = [];
      for (const root of roots) taken.push(await takeOne(root, task, startedMs));
      return taken;
    },

    async isThere({ path, fileId, snapshot, takenMs }) {
      try {
        const there = await hdfs.snapshots(path, signal);
        return there.some((each) => each.name === snapshot && each.fileId === fileId && each.takenMs === takenMs);
      } catch (error) {
        if (error instanceof AppError && (error.code === 'NOT_FOUND' || error.code === 'REFUSED')) return false;
        throw error;
      }
    },

    async giveUp(task, choose) {
      const gone: string[] = [];
      const recorded = new Set(await allowed.list());
      const directories = await hdfs.snapshottableDirectories(signal);
      for (const { path, snapshots: count } of directories) {
        if (count === 0) {
          await disallowIfOurs(path, recorded.has(path));
          continue;
        }
        const names = (await hdfs.snapshots(path, signal)).map(({ name }) => name);
        const leaving = choose(names.filter((name) => isOfTask(name, task)).toReversed());
        for (const name of leaving) {
          await hdfs.deleteSnapshot(path, name, signal);
          gone.push(`${path}: ${name}`);
        }
        if (leaving.length > 0) await disallowIfOurs(path, recorded.has(path) || leaving.some(saysAllowed));
      }
      // What was never allowed after all, or was disallowed by others.
      for (const path of recorded) if (!directories.some((each) => each.path === path)) await allowed.remove(path);
      return gone;
    },
  };
}
