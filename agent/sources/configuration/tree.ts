/** Trees of configuration files, looked at byte by byte. Paths are bytes: a name need not be UTF-8. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AppError } from '#common/errors.ts';

/** Bytes of all files below a path (which may be a file), and how many entries there are. Files that vanish meanwhile do not count. */
export async function measureTree(path: string): Promise<{ bytes: bigint; entries: number }> {
  let bytes = 0n;
  let entries = 0;
  for await (const entry of walk(Buffer.from(path), true)) {
    entries++;
    if (entry.stat.isFile()) bytes += entry.stat.size;
  }
  return { bytes, entries };
}

/** @throws AppError DAMAGED naming the first difference in kind, owner, mode, time, link or content. */
export async function requireSameTree(expected: string, actual: string, signal: AbortSignal): Promise<number> {
  let entries = 0;
  for await (const { path, stat } of walk(Buffer.from(expected), false)) {
    signal.throwIfAborted();
    const other = Buffer.concat([Buffer.from(actual), path.subarray(Buffer.byteLength(expected))]);
    const difference = await differenceOf(path, stat, other, signal);
    if (difference !== undefined) throw different(other, difference);
    entries++;
  }
  const found = (await measureTree(actual)).entries;
  if (found !== entries) throw different(Buffer.from(actual), `has ${found} entries instead of ${entries}`);
  return entries;
}

function different(path: Buffer, what: string): AppError {
  return new AppError('DAMAGED', `the staged copy ${path.toString()} ${what}`, {
    hint: 'Check the file system it lies on, then restore again; nothing was switched.',
  });
}

async function differenceOf(path: Buffer, stat: BigIntStats, other: Buffer, signal: AbortSignal): Promise<string | undefined> {
  const copy = await statOrMissing(other);
  if (copy === undefined) return 'is missing';
  // Type and permission bits together.
  if (copy.mode !== stat.mode) return `has mode ${copy.mode.toString(8)} instead of ${stat.mode.toString(8)}`;
  if (copy.uid !== stat.uid || copy.gid !== stat.gid) {
    return `belongs to ${copy.uid}:${copy.gid} instead of ${stat.uid}:${stat.gid}`;
  }
  if (stat.isSymbolicLink()) {
    const [target, copied] = await Promise.all([readlink(path, 'buffer'), readlink(other, 'buffer')]);
    return target.equals(copied) ? undefined : 'points elsewhere';
  }
  if (copy.mtimeNs !== stat.mtimeNs) return 'has another modification time';
  if (!stat.isFile()) return undefined;
  if (copy.size !== stat.size || !(await hash(path, signal)).equals(await hash(other, signal))) return 'has another content';
  return undefined;
}

async function hash(path: Buffer, signal: AbortSignal): Promise<Buffer> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest, { signal });
  return digest.read() as Buffer;
}

export async function statOrMissing(path: string | Buffer): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function* walk(path: Buffer, tolerant: boolean): AsyncGenerator<{ path: Buffer; stat: BigIntStats }> {
  const stat = tolerant ? await statOrMissing(path) : await lstat(path, { bigint: true });
  if (stat === undefined) return;
  yield { path, stat };
  if (!stat.isDirectory()) return;
  for (const name of await namesIn(path, tolerant)) yield* walk(Buffer.concat([path, Buffer.from('/'), name]), tolerant);
}

async function namesIn(path: Buffer, tolerant: boolean): Promise<Buffer[]> {
  try {
    return await readdir(path, { encoding: 'buffer' });
  } catch (error) {
    if (tolerant && error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
