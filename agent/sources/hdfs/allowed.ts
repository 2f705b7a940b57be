/**
 * Directories that we have allowed to have snapshots, or are about to: written down first, so that one is put back, too, over which an agent
 * was killed before its first snapshot there, or whose snapshots somebody else has deleted. The names of the snapshots say the same
 * (snapshot-names.ts), for an agent that has lost this file.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeDurably } from '#common/durable-file.ts';
import { toAppError } from '#common/errors.ts';

const schema = z.array(z.string());

export interface Allowed {
  list(): Promise<readonly string[]>;
  /** Durable when it resolves. */
  add(path: string): Promise<void>;
  remove(path: string): Promise<void>;
}

/** `directory`: of the agent's own state; made when it is needed. One backup of HDFS is made at a time, so nothing else changes it. */
export function openAllowed(directory: string): Allowed {
  const file = join(directory, 'hdfs-allowed.json');
  async function list(): Promise<readonly string[]> {
    try {
      return schema.parse(JSON.parse(await readFile(file, 'utf8')));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw toAppError(error, `read ${file}`);
    }
  }
  async function change(edit: (paths: readonly string[]) => readonly string[]): Promise<void> {
    const before = await list();
    const after = edit(before);
    if (after.length === before.length) return;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeDurably(file, JSON.stringify(after));
  }

  return {
    list,
    add: (path) => change((paths) => (paths.includes(path) ? paths : [...paths, path])),
    remove: (path) => change((paths) => paths.filter((each) => each !== path)),
  };
}
