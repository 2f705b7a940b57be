/** All entries of a point, in order: each root that the base has is compared with it, others are walked. */
import type { WebHdfs } from '../../hdfs/webhdfs.ts';
import type { HdfsSelection } from '../point-source.ts';
import type { SourceIo } from '../source.ts';
import { createAttributeReader } from './attributes.ts';
import type { UsableBase } from './base.ts';
import { readChanges } from './changes.ts';
import type { HdfsFacts } from './facts.ts';
import { build } from './incremental.ts';
import type { Building } from './incremental.ts';
import { inSnapshot, isWithin } from './paths.ts';
import { excludesOf, statusOf } from './select.ts';
import type { RootSnapshot } from './snapshots.ts';
import { walk } from './walk.ts';
import type { Coming, Walking } from './walk.ts';

export interface Tree {
  readonly hdfs: WebHdfs;
  readonly selection: HdfsSelection;
  readonly facts: HdfsFacts;
  /** undefined: everything is new. */
  readonly base: UsableBase | undefined;
  /** Storage policies by number. */
  readonly policies: ReadonlyMap<number, string>;
  readonly io: SourceIo;
}

export async function* entriesOf(
  { hdfs, selection, facts, base, policies }: Tree,
  signal: AbortSignal,
  log: SourceIo['log'],
): AsyncGenerator<Coming> {
  const attributes = createAttributeReader(hdfs, policies);
  const warn = (message: string) => log('warn', message);
  for (const root of facts.snapshots) {
    const read = (path: string) => inSnapshot(path, root.path, root.snapshot);
    const walking: Walking = { hdfs, attributes, isExcluded: excludesOf(selection), read, signal, warn };
    const building = base && (await compare(walking, base, root, log));
    for (const path of facts.selected.filter((each) => isWithin(each, root.path))) {
      const status = await statusOf(hdfs, read(path), signal);
      if (status === undefined) warn(`${path} is gone: it was deleted before the snapshot was taken`);
      else if (building === undefined) yield* walk(walking, path, status, undefined);
      else yield* build(building, { path, oldPath: path, above: undefined }, status);
    }
  }
}

async function compare(
  walking: Walking,
  { old, snapshotOf }: UsableBase,
  root: RootSnapshot,
  log: SourceIo['log'],
): Promise<Building | undefined> {
  const before = snapshotOf(root.path);
  if (before === undefined) return undefined;
  const { hdfs, signal } = walking;
  const changes = await readChanges(root.path, hdfs.snapshotDiff(root.path, before.snapshot, root.snapshot, signal));
  log('info', `${root.path}: ${changes.count} differences since ${before.snapshot}`);
  return { ...walking, old, changes, readOld: (path) => inSnapshot(path, root.path, before.snapshot) };
}
