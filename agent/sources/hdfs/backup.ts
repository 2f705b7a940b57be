/** The backup of HDFS: snapshots of the roots, and a point read from them. Its story is prepareHdfsBackup, top to bottom. */
import { AppError, toAppError } from '#common/errors.ts';
import type { PackOptions } from '../../archive/archive.ts';
import { packPoint } from '../../archive/point/pack-point.ts';
import type { PointInMaking } from '../../archive/point/point.ts';
import type { WebHdfs } from '../../hdfs/webhdfs.ts';
import type { PointBackupRequest, PreparedPoint } from '../point-source.ts';
import type { SourceIo } from '../source.ts';
import { openAllowed } from './allowed.ts';
import { openBase } from './base.ts';
import { entriesOf } from './entries.ts';
import type { Tree } from './entries.ts';
import { encodeFacts } from './facts.ts';
import type { HdfsFacts } from './facts.ts';
import { inOrder } from './in-order.ts';
import { planRoots } from './roots.ts';
import { select } from './select.ts';
import type { Selected } from './select.ts';
import { connectTo } from './settings.ts';
import type { HdfsSettings } from './settings.ts';
import { createSnapshots } from './snapshots.ts';
import { isOfRun } from './snapshot-names.ts';

export async function prepareHdfsBackup(
  settings: HdfsSettings,
  stateDirectory: string,
  request: PointBackupRequest,
  io: SourceIo,
): Promise<PreparedPoint> {
  const { selection, task, startedMs } = request;
  requireNameService(settings, selection.nameService);
  await using held = new AsyncDisposableStack();
  const hdfs = held.use(connectTo(settings));
  const snapshots = createSnapshots(hdfs, openAllowed(stateDirectory), io);

  const selected = await selectNow(hdfs, request, io);
  const roots = await rootsOf(hdfs, request, selected, io);
  const isOwn = (snapshot: string) => isOfRun(snapshot, task, startedMs);
  let kept = false;
  held.defer(async () => {
    if (!kept) await giveUpOwn(hdfs, stateDirectory, request, io);
  });
  const taken = await snapshots.take(roots, task, startedMs);
  const facts: HdfsFacts = {
    nameService: settings.nameService,
    selected: selected.map(({ path }) => path),
    excludes: selection.excludes,
    snapshots: taken,
  };
  const base = request.base && (await openBase(request.base, facts, snapshots, io));
  if (base?.kind === 'usable') held.use(base.old);
  const usable = base?.kind === 'usable' ? base : undefined;
  const tree: Tree = { hdfs, selection, facts, base: usable, policies: await hdfs.storagePolicies(io.signal), io };
  const undo = held.move();

  return {
    async estimate() {
      if (usable !== undefined) return newBytesOf(tree);
      const sums = await Promise.all(selected.map(({ path }) => hdfs.summary(path, io.signal)));
      return sums.reduce((sum, { bytes }) => sum + bytes, 0n);
    },
    backup: () =>
      Promise.resolve({
        facts: encodeFacts(facts),
        fullBecause: base?.kind === 'useless' ? base.reason : undefined,
        pack: (options) => pack(settings, tree, options),
      }),
    async keep() {
      kept = true;
      await snapshots.giveUp(task, (all) => all.filter((each) => !isOwn(each)).slice(selection.keptSnapshots));
    },
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

/** After the death of the agent: the snapshots of that run. */
export async function abandonHdfsBackup(
  settings: HdfsSettings,
  stateDirectory: string,
  { task, startedMs }: PointBackupRequest,
  io: SourceIo,
): Promise<void> {
  await using hdfs = connectTo(settings);
  const snapshots = createSnapshots(hdfs, openAllowed(stateDirectory), io);
  await snapshots.giveUp(task, (all) => all.filter((each) => isOfRun(each, task, startedMs)));
}

/** A minute for what must be put back. */
const PUT_BACK_MS = 60_000;

/** Not by the signal of the run, which may be why it ends; and what the run failed with is told, not what failed here. */
async function giveUpOwn(hdfs: WebHdfs, stateDirectory: string, { task, startedMs }: PointBackupRequest, io: SourceIo) {
  const unstoppable = { signal: AbortSignal.timeout(PUT_BACK_MS), log: io.log.bind(io) };
  try {
    const snapshots = createSnapshots(hdfs, openAllowed(stateDirectory), unstoppable);
    await snapshots.giveUp(task, (all) => all.filter((each) => isOfRun(each, task, startedMs)));
  } catch (error) {
    io.log('warn', `${toAppError(error, 'give up the snapshots of this run').message}: the next run of the task gives them up`);
  }
}

/** Upper, as the packing will find it: a second look at the same snapshots. Needs listings only. */
async function newBytesOf(tree: Tree): Promise<bigint> {
  let sum = 0n;
  for await (const { newBytes } of entriesOf(tree, tree.io.signal, () => undefined)) sum += newBytes;
  return sum;
}

function pack(settings: HdfsSettings, tree: Tree, options: PackOptions): PointInMaking {
  const { hdfs, io } = tree;
  const coming = entriesOf(tree, options.signal, (level, message) => io.log(level, message));
  const entries = inOrder(coming, 2 * settings.lanes, options.signal);
  const read = (from: string, offset: bigint, length: bigint, signal: AbortSignal) => hdfs.open(from, offset, length, signal);
  return packPoint(entries, read, { ...options, lanes: settings.lanes, bytesPerSecond: settings.maxBytesPerSecond });
}

async function selectNow(hdfs: WebHdfs, { selection }: PointBackupRequest, io: SourceIo): Promise<readonly Selected[]> {
  const { selected, faults } = await select(hdfs, selection, io.signal);
  for (const fault of faults) io.log('warn', fault);
  if (selected.length > 0) return selected;
  throw new AppError('NOT_FOUND', `nothing in HDFS is selected${faults.map((fault) => `; ${fault}`).join('')}`, {
    hint: 'See what the task matches: holdfast task matches.',
  });
}

async function rootsOf(hdfs: WebHdfs, { selection }: PointBackupRequest, selected: readonly Selected[], io: SourceIo) {
  const snapshottable = (await hdfs.snapshottableDirectories(io.signal)).map(({ path }) => path);
  const { roots, faults } = planRoots(selected, selection.snapshotRoots, snapshottable);
  if (faults.length > 0) throw new AppError('REFUSED', faults.join('; '));
  for (const { path, isSnapshottable } of roots) {
    if (isSnapshottable && !selected.some((one) => one.path === path)) io.log('info', `the snapshot is taken of ${path}`);
  }
  return roots;
}

function requireNameService(settings: HdfsSettings, asked: string): void {
  if (asked === '' || asked === settings.nameService) return;
  throw new AppError('REFUSED', `the task is of the NameService ${asked}, and this agent's is ${settings.nameService}`, {
    hint: 'Correct --name-service of the task, or nameService in agent.yaml.',
  });
}
