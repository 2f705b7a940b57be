/**
 * The files of a vault. A file becomes visible whole or not at all: temporary name → size and SHA-256 compared → fsync → rename → fsync of the
 * directory. Nothing follows a symbolic link: one planted in the vault leads nowhere.
 */
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, realpath, rename, rm, rmdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '#common/durable-file.ts';
import { AppError } from '#common/errors.ts';
import { isKey, requireKey } from '#common/names.ts';
import type { Listed } from '../targets/target.ts';

/** Hidden from keys, which never begin with a dot. */
const OWN = '.holdfast';

/** Runs what changes names one after another. Long work (writing, flushing a file) comes before. */
export type Changes = <T>(change: () => Promise<T>) => Promise<T>;

export interface Storage {
  readonly directory: string;
  /** For what the vault itself remembers. */
  readonly ownDirectory: string;
  /** @throws AppError FORBIDDEN when something else than a file lies there. */
  begin(key: string): Promise<FileInMaking>;
  /** @throws AppError NOT_FOUND, FORBIDDEN */
  open(key: string): Promise<{ file: FileHandle; size: bigint }>;
  /** In order of key; whole, whatever is added or removed meanwhile. */
  list(prefix: string): Promise<Listed[]>;
  /** Within a change. Bytes freed; 0 when it was gone already. @throws AppError FORBIDDEN */
  remove(key: string): Promise<bigint>;
}

export interface FileInMaking {
  readonly file: FileHandle;
  /** Its bytes are durable when it resolves; it can no longer be written. */
  seal(): Promise<void>;
  /** Within a change. Durable under its key when it resolves. Answers the size of what it replaced. */
  publish(): Promise<bigint>;
  discard(): Promise<void>;
}

export async function openStorage(configured: string): Promise<Storage> {
  await mkdir(configured, { recursive: true, mode: 0o700 });
  const directory = await realpath(configured);
  const ownDirectory = join(directory, OWN);
  const temporary = join(ownDirectory, 'incoming');
  // What a death left half written: nobody can finish it.
  await rm(temporary, { recursive: true, force: true });
  await removeEmptyBelow(directory);
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  for (const parent of [dirname(directory), directory, ownDirectory]) await syncDirectory(parent);
  let count = 0;

  /** The path of a key, every directory on the way being one, not a link. */
  async function pathOf(key: string, make: boolean): Promise<string> {
    requireKey(key);
    let path = directory;
    for (const part of key.split('/').slice(0, -1)) {
      path = join(path, part);
      const stat = await lstatOrNothing(path);
      if (stat === undefined && make) {
        await mkdir(path, { mode: 0o700 });
        await syncDirectory(dirname(path));
      } else if (stat !== undefined && !stat.isDirectory()) {
        throw new AppError('FORBIDDEN', `${path} stands where a directory of the vault should be`, {
          hint: 'Look who put it there, and remove it.',
        });
      }
    }
    return join(directory, key);
  }

  /** The file that lies at a path, if any. Reading a pipe would never end, and a link leads elsewhere. */
  async function fileAt(path: string) {
    const stat = await lstatOrNothing(path);
    if (stat === undefined || stat.isFile()) return stat;
    throw new AppError('FORBIDDEN', `${path} is no file of the vault`, { hint: 'Look who put it there, and remove it.' });
  }

  return {
    directory,
    ownDirectory,

    async begin(key) {
      await fileAt(await pathOf(key, false));
      const path = join(temporary, String(++count));
      const file = await open(path, 'wx', 0o600);
      return {
        file,
        async seal() {
          await file.chmod(0o600);
          await file.sync();
          await file.close();
        },
        async publish() {
          const final = await pathOf(key, true);
          const replaced = await fileAt(final);
          await rename(path, final);
          await syncDirectory(dirname(final));
          return replaced?.size ?? 0n;
        },
        async discard() {
          await file.close().catch(() => undefined);
          await rm(path, { force: true });
        },
      };
    },

    async open(key) {
      const path = await pathOf(key, false);
      const missing = () => new AppError('NOT_FOUND', `there is no ${key} in ${directory}`);
      if ((await fileAt(path)) === undefined) throw missing();
      try {
        const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
        return { file, size: (await file.stat({ bigint: true })).size };
      } catch (error) {
        throw isMissing(error) ? missing() : error;
      }
    },

    async list(prefix) {
      const found: Listed[] = [];
      // Only the directory that the prefix names: a vault may hold many sets.
      const slash = prefix.lastIndexOf('/');
      const base = slash === -1 ? '' : prefix.slice(0, slash + 1);
      if (base !== '') await pathOf(`${base}x`, false);
      for await (const key of keysBelow(directory, base)) {
        const stat = key.startsWith(prefix) ? await lstatOrNothing(join(directory, key)) : undefined;
        if (stat !== undefined) found.push({ key, size: stat.size });
      }
      return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    },

    async remove(key) {
      const path = await pathOf(key, false);
      const stat = await fileAt(path);
      if (stat === undefined) return 0n;
      await rm(path);
      await syncDirectory(dirname(path));
      await removeEmptyParents(directory, path);
      return stat.size;
    },
  };
}

/** Of the files below a directory of the vault (ending in '/'; '' is all). One that vanishes meanwhile holds nothing: the rest still counts. */
async function* keysBelow(directory: string, base: string): AsyncGenerator<string> {
  for (const entry of await entriesOf(join(directory, base))) {
    const key = base + entry.name;
    if (!isKey(key)) continue;
    if (entry.isFile()) yield key;
    // A link is neither.
    else if (entry.isDirectory()) yield* keysBelow(directory, `${key}/`);
  }
}

async function entriesOf(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Made for a file that did not come, or left by the last one that went, when the vault died just then. Those of keys only. */
async function removeEmptyBelow(path: string): Promise<void> {
  for (const entry of await entriesOf(path)) {
    if (!entry.isDirectory() || !isKey(entry.name)) continue;
    await removeEmptyBelow(join(path, entry.name));
    await removeIfEmpty(join(path, entry.name));
  }
}

async function removeEmptyParents(root: string, path: string): Promise<void> {
  for (let parent = dirname(path); parent !== root; parent = dirname(parent)) {
    if (!(await removeIfEmpty(parent))) return;
  }
}

/** Whether it is gone. */
async function removeIfEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'ENOENT')) return false;
    throw error;
  }
}

async function lstatOrNothing(path: string) {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
