/** What a selection matches now, and everything that keeps it from being backed up. */
import { AppError, toAppError } from '#common/errors.ts';
import type { WebHdfs } from '../../hdfs/webhdfs.ts';
import type { HdfsSelection, SourceMatch, Survey } from '../point-source.ts';
import type { SourceIo } from '../source.ts';
import { planRoots } from './roots.ts';
import { select, statusOf } from './select.ts';
import type { Selected } from './select.ts';
import { connectTo } from './settings.ts';
import type { HdfsSettings } from './settings.ts';

export async function surveyHdfs(settings: HdfsSettings, selection: HdfsSelection, io: SourceIo): Promise<Survey> {
  const { nameService } = selection;
  const faults =
    nameService === '' || nameService === settings.nameService
      ? []
      : [`the NameService is ${settings.nameService} here, and not ${nameService}`];
  await using hdfs = connectTo(settings);
  try {
    const found = await select(hdfs, selection, io.signal);
    const more = await whatIsWrong(hdfs, selection, found.selected, io.signal);
    return {
      faults: [...faults, ...found.faults, ...more],
      matches: await Promise.all(found.selected.map((one) => count(hdfs, one, io.signal))),
    };
  } catch (error) {
    io.signal.throwIfAborted();
    return { faults: [...faults, toAppError(error, 'look at HDFS').message], matches: [] };
  }
}

async function whatIsWrong(
  hdfs: WebHdfs,
  { snapshotRoots }: HdfsSelection,
  selected: readonly Selected[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const roots = await Promise.all(
    snapshotRoots.map(async (path) => {
      const status = await statusOf(hdfs, path, signal);
      if (status === undefined) return `the snapshot root ${path} does not exist`;
      return status.type === 'directory' ? undefined : `the snapshot root ${path} is no directory`;
    }),
  );
  const encrypted = selected.filter(({ status }) => status.encrypted);
  return [
    ...roots.filter((fault) => fault !== undefined),
    ...encrypted.map(({ path }) => `${path} is in an encryption zone, which cannot be backed up yet`),
    ...(await snapshotFaults(hdfs, snapshotRoots, selected, signal)),
  ];
}

async function snapshotFaults(
  hdfs: WebHdfs,
  snapshotRoots: readonly string[],
  selected: readonly Selected[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const directories = await hdfs.snapshottableDirectories(signal);
  const plan = planRoots(
    selected,
    snapshotRoots,
    directories.map(({ path }) => path),
  );
  return plan.faults;
}

async function count(hdfs: WebHdfs, { path }: Selected, signal: AbortSignal): Promise<SourceMatch> {
  try {
    const { files, directories, bytes } = await hdfs.summary(path, signal);
    return { path, files, directories, bytes };
  } catch (error) {
    // Deleted between the two looks.
    if (error instanceof AppError && error.code === 'NOT_FOUND') return { path, files: 0n, directories: 0n, bytes: 0n };
    throw error;
  }
}
