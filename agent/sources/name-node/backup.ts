/** The backup of a NameNode: roll the edits, then the newest image and every segment after it. HDFS keeps serving. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, toAppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { measureTree, statOrMissing } from '../configuration/tree.ts';
import type { BackupContent, PreparedBackup, SourceIo } from '../source.ts';
import { ROOT, encodeFacts, parseVersion } from './facts.ts';
import { requireReadable, rollEdits } from './hdfs-tools.ts';
import { readPoint, requireImageMd5 } from './name-directory.ts';
import type { Point } from './name-directory.ts';
import type { NameNodeSettings } from './settings.ts';

export async function prepareNameNodeBackup(settings: NameNodeSettings, io: SourceIo): Promise<PreparedBackup> {
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

async function backUp(settings: NameNodeSettings, current: string, io: SourceIo): Promise<BackupContent> {
  const lastTxid = await rollEdits(settings, io.signal);
  io.log('info', `the edits are rolled: transactions up to ${lastTxid}`);
  const spool = join(io.workDirectory, ROOT);
  const copied = join(spool, 'current');
  await mkdir(copied, { recursive: true, mode: 0o700 });
  const point = await copyPoint(current, copied, lastTxid, io);
  await writeFile(join(copied, 'seen_txid'), `${point.lastTxid}\n`, { mode: 0o600 });
  await requireImageMd5(copied, point.image, io.signal);
  await requireReadable(settings, copied, point, io.signal);
  io.log('info', `${point.image} and ${point.segments.length} edit segment(s) after it, readable offline`);

  const { stdout } = await runTool({
    doing: `look at ${settings.nameDirectory}`,
    command: 'stat',
    args: ['-c', '%U:%G %a', settings.nameDirectory],
    signal: io.signal,
  });
  const [owner = 'root:root', mode = '700'] = stdout.trim().split(' ');
  return {
    roots: [{ from: spool, as: ROOT }],
    facts: encodeFacts({
      ...parseVersion(await readFile(join(copied, 'VERSION'), 'utf8')),
      imageTxid: String(point.imageTxid),
      lastTxid: String(point.lastTxid),
      owner,
      mode,
    }),
  };
}

/** A checkpoint in the midst of it may purge what was to be copied: then there is a newer image to begin with. Once. */
async function copyPoint(from: string, to: string, lastTxid: bigint, io: SourceIo, tries = 2): Promise<Point> {
  const point = await readPoint(from, lastTxid);
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
