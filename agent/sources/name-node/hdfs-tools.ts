/** Hadoop's own tools. Each is a Java machine that takes a second to start. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import type { SourceIo } from '../source.ts';
import type { Point, Segment } from './name-directory.ts';
import type { NameNodeSettings } from './settings.ts';

type ToolIo = Pick<SourceIo, 'workDirectory' | 'signal'>;

/**
 * Another minor version mostly understands the NameNode, and what it does not is found when the image is read; another major one may
 * read what it misunderstands. @throws AppError TOOL
 */
export async function requireSameMajor(
  settings: NameNodeSettings,
  server: string,
  io: Pick<SourceIo, 'log' | 'signal'>,
): Promise<void> {
  const doing = `ask ${settings.hdfs} for its version`;
  const { stdout } = await hdfs(settings, doing, ['version'], io.signal);
  const version = /^Hadoop (\d+\.\d+\S*)/.exec(stdout)?.[1];
  const hint = "Set nameNode.hdfs in the agent's configuration to the hdfs command of the NameNode's own installation.";
  if (version === undefined) {
    throw new AppError('TOOL', `${doing}: it is not Hadoop's: it answered ${JSON.stringify(stdout.slice(0, 200))}`, { hint });
  }
  const parts = (text: string, count: number) => text.split('.').slice(0, count).join('.');
  if (parts(version, 1) !== parts(server, 1)) {
    throw new AppError('TOOL', `${settings.hdfs} is of Hadoop ${version}, and the NameNode of ${server}`, { hint });
  }
  if (parts(version, 2) !== parts(server, 2))
    io.log('warn', `${settings.hdfs} is of Hadoop ${version}, and the NameNode of ${server}`);
}

/** Ends the open edit segment, so that it can be copied whole. Answers the last transaction before the new one. HDFS goes on serving. */
export async function rollEdits(settings: NameNodeSettings, signal: AbortSignal): Promise<bigint> {
  const doing = `roll the edits of the NameNode at ${settings.rpcAddress}`;
  const { stdout } = await hdfs(settings, doing, ['dfsadmin', '-fs', `hdfs://${settings.rpcAddress}`, '-rollEdits'], signal);
  const next = /segment starts at txid (\d+)/.exec(stdout)?.[1];
  if (next === undefined) throw new AppError('TOOL', `${doing}: its answer names no transaction: ${stdout.slice(-300)}`);
  return BigInt(next) - 1n;
}

/** Reads image and segments as a NameNode would. An MD5 says that bytes are as they were written; this says that they mean something. */
export async function requireReadable(settings: NameNodeSettings, current: string, point: Point, io: ToolIo): Promise<void> {
  const { image, segments } = point;
  const path = join(current, image);
  await hdfs(settings, `read the image ${image} offline`, ['oiv', '-p', 'XML', '-i', path, '-o', '/dev/null'], io.signal);
  for (const segment of segments) await requireReadableSegment(settings, current, segment, io);
}

/** The viewer takes a file that ends between two transactions for a whole one: they are counted. */
async function requireReadableSegment(
  settings: NameNodeSettings,
  current: string,
  { name, first, last }: Segment,
  io: ToolIo,
): Promise<void> {
  const counts = join(io.workDirectory, 'edits-statistics');
  const args = ['oev', '-p', 'stats', '-i', join(current, name), '-o', counts];
  await hdfs(settings, `read the edits ${name} offline`, args, io.signal);
  let found = 0n;
  for (const [, count] of (await readFile(counts, 'utf8')).matchAll(/^ *OP_\w+ *\( *-?\d+\): (\d+)$/gm))
    found += BigInt(count ?? 0);
  const expected = last - first + 1n;
  if (found !== expected) {
    throw new AppError('DAMAGED', `read the edits ${name} offline: it has ${found} transactions instead of ${expected}`);
  }
}

async function hdfs(
  settings: NameNodeSettings,
  doing: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ stdout: string }> {
  const result = await runTool({
    doing,
    command: settings.hdfs,
    args,
    timeoutMs: settings.timeout,
    env: settings.user === undefined ? {} : { HADOOP_USER_NAME: settings.user },
    signal,
  });
  // The offline viewers report some faults on their standard error only, and end with 0.
  const fault = /^(?:Exception|.*(?:Encountered exception|java\.io\.\w*Exception).*)$/m.exec(result.stderr)?.[0];
  if (fault !== undefined) throw new AppError('TOOL', `${doing}: ${fault.slice(0, 500)}`);
  return result;
}
