/** The backup of a NameNode: roll the edits, then the newest image and every segment after it. HDFS keeps serving. */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, toAppError } from '#common/errors.ts';
import { measureTree, statOrMissing } from '../configuration/tree.ts';
import { ownershipOf } from '../ownership.ts';
import type { BackupContent, BackupRequest, PreparedBackup, SourceIo } from '../source.ts';
import { ROOT, encodeFacts, parseVersion } from './facts.ts';
import { requireReadable, requireSameMajor, rollEdits } from './hdfs-tools.ts';
import { readPoint, requireImageMd5 } from './name-directory.ts';
import type { Point } from './name-directory.ts';
import type { NameNodeSettings } from './settings.ts';
import { askStorage, sameDirectories } from './storage.ts';
import type { Storage } from './storage.ts';

export async function prepareNameNodeBackup(
  settings: NameNodeSettings,
  { nameService }: BackupRequest,
  io: SourceIo,
): Promise<PreparedBackup> {
  requireNameService(settings, nameService);
  const current = join(settings.nameDirectory, 'current');
  if ((await statOrMissing(current))?.isDirectory() !== true) {
    throw new AppError('NOT_FOUND', `back up NameNode: ${settings.nameDirectory} is no name directory`, {
      hint: "Set nameNode.nameDirectory in the agent's configuration to one of dfs.namenode.name.dir.",
    });
  }
  return {
    estimate: async () => (await measureTree(current)).bytes,
    backup: () => backUp(settings, current, io),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The metadata of another cluster under the name that was asked for would be found out only at the restore. */
function requireNameService(settings: NameNodeSettings, wanted: string): void {
  if (wanted === '' || wanted === settings.nameService) return;
  throw new AppError(
    'REFUSED',
    `back up NameNode: the task wants the NameService ${JSON.stringify(wanted)}, and that of this node is ${settings.nameService}`,
    { hint: "Correct --name-service of the task, or nameNode.nameService in the agent's configuration." },
  );
}

async function backUp(settings: NameNodeSettings, current: string, io: SourceIo): Promise<BackupContent> {
  const storage = await requireInUse(settings, io);
  await requireSameMajor(settings, storage.softwareVersion, io);
  const lastTxid = await rollEdits(settings, io.signal);
  io.log('info', `the edits are rolled: transactions up to ${lastTxid}`);
  const spool = join(io.workDirectory, ROOT);
  const copied = join(spool, 'current');
  const point = await copyPoint(current, copied, lastTxid, io);
  await writeFile(join(copied, 'seen_txid'), `${point.lastTxid}\n`, { mode: 0o600 });
  await requireImageMd5(copied, point.image, io.signal);
  await requireReadable(settings, copied, point, io);
  io.log('info', `${point.image} and ${point.segments.length} edit segment(s) after it, readable offline`);

  return {
    roots: [{ from: spool, as: ROOT }],
    facts: encodeFacts({
      ...parseVersion(await readFile(join(copied, 'VERSION'), 'utf8')),
      imageTxid: String(point.imageTxid),
      lastTxid: String(point.lastTxid),
      ...(await ownershipOf(settings.nameDirectory, io.signal)),
      directories: storage.directories,
      journals: storage.journals,
    }),
  };
}

/** A directory that the NameNode gave up, or another's, may look whole. */
async function requireInUse(settings: NameNodeSettings, io: SourceIo): Promise<Storage> {
  const storage = await askStorage(settings, io.signal);
  for (const failed of storage.failed) io.log('warn', `the NameNode has given up its directory ${failed}`);
  for (const directory of storage.directories) {
    if (await sameDirectories([directory], [settings.nameDirectory])) return storage;
  }
  throw new AppError(
    'REFUSED',
    `back up NameNode: the one at ${settings.httpAddress} keeps its metadata in ${storage.directories.join(', ')}, not in ${settings.nameDirectory}`,
    { hint: "Set nameNode.nameDirectory in the agent's configuration to one of those that it uses." },
  );
}

/** A checkpoint in the midst of it may purge what was to be copied: then there is a newer image to begin with. Once. */
export async function copyPoint(from: string, to: string, lastTxid: bigint, io: SourceIo, tries = 2): Promise<Point> {
  const point = await readPoint(from, lastTxid);
  await rm(to, { recursive: true, force: true });
  await mkdir(to, { recursive: true, mode: 0o700 });
  try {
    const names = [point.image, `${point.image}.md5`, ...point.segments.map(({ name }) => name), 'VERSION'];
    for (const name of names) {
      io.signal.throwIfAborted();
      await copyFile(join(from, name), join(to, name));
    }
    return point;
  } catch (error) {
    const failure = toAppError(error, `copy the metadata of ${from}`);
    if (failure.code !== 'NOT_FOUND' || tries === 1) throw failure;
    io.log('warn', `${failure.message}: a checkpoint came in between; trying again`);
    return copyPoint(from, to, lastTxid, io, tries - 1);
  }
}
