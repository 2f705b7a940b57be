/** The entries of an archive, in the order they go into it: a directory before what it holds. Synchronous: it runs in the packing thread. */
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { ArchiveRoot } from './archive.ts';
import type { TarEntry, Xattr } from './tar-header.ts';
import type { XattrsOf } from './xattrs.ts';

export interface Walked {
  /** On this node. */
  readonly from: Buffer;
  readonly entry: TarEntry;
}

/** `skip` hears of what no archive can bring back: sockets, devices, FIFOs. */
export function* walk(
  root: ArchiveRoot,
  xattrs: XattrsOf,
  linked: Map<string, Buffer>,
  skip: (path: string) => void,
): Generator<Walked> {
  yield* walkAt(Buffer.from(root.from), Buffer.from(root.as), { xattrs, linked, skip });
}

interface Walk {
  readonly xattrs: XattrsOf;
  /** device:inode of files with several names → the first of them. */
  readonly linked: Map<string, Buffer>;
  readonly skip: (path: string) => void;
}

function* walkAt(from: Buffer, path: Buffer, walking: Walk): Generator<Walked> {
  const stat = lstatSync(from, { bigint: true });
  const entry = entryOf(from, path, stat, walking);
  if (entry === undefined) return walking.skip(from.toString());
  yield { from, entry };
  if (entry.type !== 'directory') return;
  // Sorted, so that the same tree gives the same archive.
  const names = readdirSync(from, { encoding: 'buffer' }).toSorted((a, b) => Buffer.compare(a, b));
  for (const name of names) yield* walkAt(join(from, name), join(path, name), walking);
}

function entryOf(from: Buffer, path: Buffer, stat: BigIntStats, { xattrs, linked }: Walk): TarEntry | undefined {
  const common = {
    path,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNs: stat.mtimeNs,
    xattrs: xattrs.size === 0 ? NONE : (xattrs.get(from.toString('latin1')) ?? NONE),
  };
  if (stat.isDirectory()) return { ...common, type: 'directory', size: 0n, link: undefined };
  if (stat.isSymbolicLink()) return { ...common, type: 'symlink', size: 0n, link: readlinkSync(from, { encoding: 'buffer' }) };
  if (!stat.isFile()) return undefined;
  const file: TarEntry = { ...common, type: 'file', size: stat.size, link: undefined };
  if (stat.nlink === 1n) return file;
  const inode = `${stat.dev}:${stat.ino}`;
  const first = linked.get(inode);
  if (first !== undefined) return { ...common, type: 'hardlink', size: 0n, link: first, xattrs: NONE };
  linked.set(inode, path);
  return file;
}

const NONE: readonly Xattr[] = [];
const SLASH = Buffer.from('/');

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, SLASH, name]);
}
