/** The point that an incremental builds on: whether it can be, and what it has. */
import { join } from 'node:path';
import { toAppError } from '#common/errors.ts';
import type { Base } from '../point-source.ts';
import type { SourceIo } from '../source.ts';
import { decodeFacts } from './facts.ts';
import type { HdfsFacts } from './facts.ts';
import { openOldIndex } from './old-index.ts';
import type { OldIndex } from './old-index.ts';
import type { RootSnapshot, Snapshots } from './snapshots.ts';

export interface UsableBase {
  readonly kind: 'usable';
  readonly old: OldIndex;
  /** What the base has of a root; undefined: nothing, and it is walked. */
  readonly snapshotOf: (root: string) => RootSnapshot | undefined;
}

export interface UselessBase {
  readonly kind: 'useless';
  readonly reason: string;
}

/** What is wrong with it makes a full backup, with the reason, never a failure: the data are there to be read. */
export async function openBase(
  base: Base,
  now: HdfsFacts,
  snapshots: Snapshots,
  io: SourceIo,
): Promise<UsableBase | UselessBase> {
  const useless = (reason: string) => ({ kind: 'useless', reason }) as const;
  try {
    const before = decodeFacts(base.facts);
    if (before.nameService !== now.nameService) return useless(`the last backup is of the NameService ${before.nameService}`);
    if (JSON.stringify(before.excludes) !== JSON.stringify(now.excludes)) return useless('what is excluded has changed');
    for (const root of before.snapshots) {
      if (!now.snapshots.some(({ path }) => path === root.path)) continue;
      if (!(await snapshots.isThere(root))) return useless(`the snapshot ${root.snapshot} of ${root.path} is gone`);
    }
    const old = await openOldIndex(base, join(io.workDirectory, 'old-index.sqlite'), io.signal);
    for (const path of now.selected) if (!before.selected.includes(path)) io.log('info', `${path} is new since the last backup`);
    for (const path of before.selected)
      if (!now.selected.includes(path)) io.log('info', `${path} is no longer there, or not selected`);
    const isSame = (a: RootSnapshot, b: RootSnapshot) => a.path === b.path && a.fileId === b.fileId;
    return {
      kind: 'usable',
      old,
      snapshotOf: (path) => before.snapshots.find((root) => now.snapshots.some((own) => own.path === path && isSame(own, root))),
    };
  } catch (error) {
    io.signal.throwIfAborted();
    return useless(toAppError(error, 'read the backup to build on').message);
  }
}
