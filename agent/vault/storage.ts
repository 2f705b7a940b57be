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

export interface Storage {
  readonly directory: string;
  /** For what the vault itself remembers. */
  readonly ownDirectory: string;
  begin(): Promise<FileInMaking>;
  /** @throws AppError NOT_FOUND */
  open(key: string): Promise<{ file: FileHandle; size: bigint }>;
  list(prefix: string): Promise<Listed[]>;
  /** Bytes freed; 0 when it was gone already. */
  remove(key: string): Promise<bigint>;
}

export interface FileInMaking {
  readonly file: FileHandle;
  /** Durable under `key` when it resolves. Answers the size of what it replaced. */
  publish(key: string): Promise<bigint>;
  discard(): Promise<void>;
}

export async function openStorage(configured: string): Promise<Storage> {
  await mkdir(configured, { recursive: true, mode: 0o700 });
  const directory = await realpath(configured);
  const ownDirectory = join(directory, OWN);
  const temporary = join(ownDirectory, 'incoming');
  // What a death left half written: nobody can finish it.
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  let count = 0;

  /** The path of a key, every directory on the way being one, not a link. */
  async function pathOf(key: string, make: boolean): Promise<string> {
    requireKey(key);
    let path = directory;
    for (const part of key.split('/').slice(0, -1)) {
      path = join(path, part);
      const stat = await lstatOrNothing(path);
      if (stat === undefined && make) {
        // Recursive only for its silence when another put was faster.
        await mkdir(path, { recursive: true, mode: 0o700 });
        await syncDirectory(dirname(path));
      } else if (stat !== undefined && !stat.isDirectory()) {
        throw new AppError('FORBIDDEN', `${path} stands where a directory of the vault should be`, {
          hint: 'Look who put it there, and remove it.',
        });
      }
    }
    return join(directory, key);
  }

  /** Tried again when a deletion removed the empty directory in between. */
  async function placeAt(key: string, from: string, tries = 3): Promise<bigint> {
    const final = await pathOf(key, true);
    try {
      const replaced = await lstatOrNothing(final);
      await rename(from, final);
      await syncDirectory(dirname(final));
      return replaced?.size ?? 0n;
    } catch (error) {
      if (!isMissing(error) || tries === 1) throw error;
      return placeAt(key, from, tries - 1);
    }
  }

  return {
    directory,
    ownDirectory,

    async begin() {
      const path = join(temporary, String(++count));
      const file = await open(path, 'wx', 0o600);
      return {
        file,
        async publish(key) {
          await file.chmod(0o600);
          await file.sync();
          await file.close();
          return placeAt(key, path);
        },
        async discard() {
          await file.close().catch(() => undefined);
          await rm(path, { force: true });
        },
      };
    },

    async open(key) {
      try {
        const file = await open(await pathOf(key, false), constants.O_RDONLY | constants.O_NOFOLLOW);
        const { size } = await file.stat({ bigint: true });
        return { file, size };
      } catch (error) {
        if (isMissing(error)) throw new AppError('NOT_FOUND', `there is no ${key} in ${directory}`, { cause: error });
        throw error;
      }
    },

    async list(prefix) {
      const found: Listed[] = [];
      // Only the directory that the prefix names, when it names one: a vault may hold many sets.
      const base = isKey(prefix.slice(0, -1)) ? dirname(await pathOf(`${prefix.slice(0, -1)}/x`, false)) : directory;
      for (const entry of await readTree(base)) {
        const path = join(entry.parentPath, entry.name);
        const key = path.slice(directory.length + 1);
        if (!entry.isFile() || !key.startsWith(prefix) || !isKey(key)) continue;
        const stat = await lstatOrNothing(path);
        if (stat !== undefined) found.push({ key, size: stat.size });
      }
      return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    },

    async remove(key) {
      const path = await pathOf(key, false);
      const stat = await lstatOrNothing(path);
      if (stat === undefined) return 0n;
      await rm(path);
      await syncDirectory(dirname(path));
      await removeEmptyParents(directory, path);
      return stat.size;
    },
  };
}

async function removeEmptyParents(root: string, path: string): Promise<void> {
  for (let parent = dirname(path); parent !== root; parent = dirname(parent)) {
    try {
      await rmdir(parent);
    } catch (error) {
      if (error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'ENOENT')) return;
      throw error;
    }
  }
}

async function readTree(base: string) {
  try {
    return await readdir(base, { recursive: true, withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
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
