/**
 * Writes the entries of an archive below a directory that was empty, and nowhere else: names that lead out, through a link, or onto
 * something that is there already are refused. Synchronous: it runs in the unpacking thread.
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { AppError } from '#common/errors.ts';
import { damaged } from './tar-header.ts';
import type { TarEntry, Xattr } from './tar-header.ts';
import type { TarSink } from './tar-reader.ts';

export interface TreeWriter extends TarSink {
  /** Sets what must come last: modes and times of directories. */
  end(): WrittenTree;
}

export interface WrittenTree {
  readonly entries: number;
  readonly contentBytes: bigint;
  /** What Node has no call for, by absolute path as bytes in latin1. */
  readonly xattrs: ReadonlyMap<string, readonly Xattr[]>;
  /** Nanoseconds of times that a double would round. */
  readonly exactTimes: ReadonlyMap<string, bigint>;
}

const SLASH = Buffer.from('/');
const NS = 1_000_000_000n;
/** Only root can give files away; anyone else restores them as his own. */
const isRoot = process.getuid?.() === 0;

export function writeTree(into: string): TreeWriter {
  const base = Buffer.from(into);
  const directories: { path: Buffer; entry: TarEntry }[] = [];
  const made = new Set<string>();
  const xattrs = new Map<string, readonly Xattr[]>();
  const exactTimes = new Map<string, bigint>();
  let open: { descriptor: number; entry: TarEntry } | undefined;
  let entries = 0;
  let contentBytes = 0n;

  /** The place of a name; the directories on the way are made, and are directories. */
  function placeOf(name: Buffer): Buffer {
    requireInside(name);
    const slash = name.lastIndexOf(0x2f);
    if (slash !== -1) makeDirectory(name.subarray(0, slash));
    return Buffer.concat([base, SLASH, name]);
  }

  function makeDirectory(name: Buffer): Buffer {
    const key = name.toString('latin1');
    const path = Buffer.concat([base, SLASH, name]);
    if (made.has(key)) return path;
    const slash = name.lastIndexOf(0x2f);
    if (slash !== -1) makeDirectory(name.subarray(0, slash));
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      // Only what this archive made is below `into`: a link or a file stands there.
      if (codeOf(error) === 'EEXIST') throw damaged(`${name.toString()} as a directory, and before as something else`);
      throw error;
    }
    made.add(key);
    return path;
  }

  function absolute({ path }: TarEntry): string {
    return Buffer.concat([base, SLASH, path]).toString('latin1');
  }

  function requireNew<T>(name: Buffer, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw damaged(`${name.toString()} twice`);
      throw error;
    }
  }

  function link(entry: TarEntry, path: Buffer): void {
    const target = entry.link ?? Buffer.alloc(0);
    requireInside(target);
    // Each part on the way must be a directory of ours, or the link would name a file outside.
    const slash = target.lastIndexOf(0x2f);
    const parent = target.subarray(0, Math.max(slash, 0)).toString('latin1');
    const first = Buffer.concat([base, SLASH, target]);
    if ((slash !== -1 && !made.has(parent)) || lstatSync(first, { throwIfNoEntry: false })?.isFile() !== true) {
      throw damaged(`${entry.path.toString()}, a second name of ${target.toString()}, which is no file of it`);
    }
    requireNew(entry.path, () => linkSync(first, path));
  }

  return {
    entry(entry) {
      entries++;
      if (entry.xattrs.length > 0) xattrs.set(absolute(entry), entry.xattrs);
      if (entry.mtimeNs % NS !== 0n && entry.type !== 'hardlink') exactTimes.set(absolute(entry), entry.mtimeNs);
      switch (entry.type) {
        case 'directory':
          requireInside(entry.path);
          directories.push({ path: makeDirectory(entry.path), entry });
          break;
        case 'file': {
          const path = placeOf(entry.path);
          // wx: never through a link that stands there.
          open = { descriptor: requireNew(entry.path, () => openSync(path, 'wx', 0o600)), entry };
          break;
        }
        case 'symlink': {
          const path = placeOf(entry.path);
          requireLinkText(entry);
          requireNew(entry.path, () => symlinkSync(entry.link ?? '', path));
          if (isRoot) lchownSync(path, entry.uid, entry.gid);
          lutimesSync(path, seconds(entry), seconds(entry));
          break;
        }
        case 'hardlink':
          link(entry, placeOf(entry.path));
          break;
      }
    },
    content(bytes) {
      if (open === undefined) throw new AppError('BUG', 'unpack: content without a file');
      for (let at = 0; at < bytes.length;) at += writeSync(open.descriptor, bytes, at);
      contentBytes += BigInt(bytes.length);
    },
    endFile() {
      if (open === undefined) throw new AppError('BUG', 'unpack: the end of no file');
      const { descriptor, entry } = open;
      open = undefined;
      // Owner before mode: giving a file away clears its set-user-id bit.
      if (isRoot) fchownSync(descriptor, entry.uid, entry.gid);
      fchmodSync(descriptor, entry.mode);
      futimesSync(descriptor, seconds(entry), seconds(entry));
      closeSync(descriptor);
    },
    end() {
      for (const { path, entry } of directories.toReversed()) {
        if (isRoot) lchownSync(path, entry.uid, entry.gid);
        chmodSync(path, entry.mode);
        lutimesSync(path, seconds(entry), seconds(entry));
      }
      return { entries, contentBytes, xattrs, exactTimes };
    },
  };
}

/** @throws AppError DAMAGED for a name that is absolute, empty, has empty parts, `.`, `..` or NUL. */
function requireInside(name: Buffer): void {
  const parts = name.toString('latin1').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..') || name.includes(0)) {
    throw damaged(`the name ${JSON.stringify(name.toString())}, which leads out of its directory`);
  }
}

function requireLinkText(entry: TarEntry): void {
  if (entry.link === undefined || entry.link.length === 0 || entry.link.includes(0)) {
    throw damaged(`${entry.path.toString()}, a link to nothing`);
  }
}

function seconds({ mtimeNs }: TarEntry): number {
  return Number(mtimeNs) / 1e9;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
