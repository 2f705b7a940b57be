/** Trees to pack, and what there is to compare of them. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import type { ArchiveRoot, ArchiveSummary } from '../../agent/archive/archive.ts';
import { packArchive } from '../../agent/archive/pack.ts';
import { unpackArchive } from '../../agent/archive/unpack.ts';
import { never } from '../vault/test-vault.ts';

export async function scratch() {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-archive-'));
  return {
    path,
    at: (name: string) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

export interface Packed extends ArchiveSummary {
  readonly path: string;
  readonly index: string;
}

export async function packTo(path: string, roots: readonly ArchiveRoot[]): Promise<Packed> {
  const workDirectory = await mkdtemp(join(tmpdir(), 'holdfast-index-'));
  const packing = packArchive(roots, { workDirectory, level: 1, signal: never });
  await pipeline(packing.stream, createWriteStream(path));
  const index = `${path}.index`;
  await execa('mv', [await packing.index, index]);
  await rm(workDirectory, { recursive: true });
  return { ...(await packing.summary), path, index };
}

export async function unpackTo(into: string, packed: Packed, bytes: Readable = createReadStream(packed.path)): Promise<void> {
  await mkdir(into, { mode: 0o700 });
  await unpackArchive(bytes, { into, expected: packed, signal: never });
}

/** Type, mode, owner, time to the nanosecond, link target, extended attributes and content of everything below. */
export async function describeTree(root: string): Promise<string> {
  const { stdout } = await execa({
    cwd: root,
    env: { LC_ALL: 'C' },
    shell: '/bin/bash',
  })`find . -printf '%y %m %U %G %T@ %n %p -> %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 -r sha256sum; getfattr -R -P -h -d -m - -e hex . | sort`;
  return stdout;
}
