/** How many rows the files of a dump hold: they are plain text, one row a line. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';

/** What pg_dump ends the data of a table with: three lines that are no rows. */
const END_OF_DATA = Buffer.from(String.raw`\.` + '\n\n\n');

/** Rows by file name. wc counts many times faster than this process could, and off its event loop. */
export async function countDumpRows(
  directory: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, bigint>> {
  const rows = new Map<string, bigint>();
  for (const [file, lines] of await countLines(directory, files, signal)) {
    rows.set(file, lines - (await linesAfterRows(join(directory, file))));
  }
  return rows;
}

/** Large objects are listed one a line in blobs.toc, from version 17 on in one such file for each of several groups. */
export async function countDumpLargeObjects(directory: string, signal: AbortSignal): Promise<bigint> {
  const lists = (await readdir(directory)).filter((name) => /^blobs(?:_\d+)?\.toc$/.test(name));
  return [...(await countLines(directory, lists, signal)).values()].reduce((sum, lines) => sum + lines, 0n);
}

async function countLines(
  directory: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, bigint>> {
  if (files.length === 0) return new Map();
  const doing = `count the rows in the dump ${directory}`;
  const missing = await firstMissing(directory, files);
  if (missing !== undefined) throw new AppError('DAMAGED', `${doing}: ${missing} is missing`);
  const { stdout } = await runTool({
    doing,
    command: 'wc',
    args: ['-l', '--files0-from=-'],
    cwd: directory,
    input: files.map((file) => `${file}\0`).join(''),
    signal,
  });
  const lines = stdout.split('\n').map((line) => /^\s*(\d+) (.+)$/.exec(line));
  return new Map(lines.slice(0, files.length).map((match) => [match?.[2] ?? '', BigInt(match?.[1] ?? 0)]));
}

async function firstMissing(directory: string, files: readonly string[]): Promise<string | undefined> {
  const present = new Set(await readdir(directory));
  return files.find((file) => !present.has(file));
}

async function linesAfterRows(path: string): Promise<bigint> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const tail = Buffer.alloc(END_OF_DATA.length);
  await file.read(tail, 0, tail.length, Math.max(0, size - tail.length));
  if (!tail.equals(END_OF_DATA)) {
    throw new AppError('DAMAGED', `the dump file ${path} does not end as pg_dump ends one`);
  }
  return 3n;
}
