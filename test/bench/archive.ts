/** Packing: ours against GNU tar, zstd with all its threads and sha256sum, at the same level, into a file. */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { randomBytes } from 'node:crypto';
import { execa } from 'execa';
import { packArchive } from '../../agent/archive/pack.ts';
import { timed } from './case.ts';
import type { BenchCase, Contest } from './case.ts';

const LEVEL = 1;

export const archiveCases: readonly BenchCase[] = [
  { name: 'archive-text', unit: 'MB/s', goal: 0.9, setUp: (directory) => contest(directory, makeText) },
  { name: 'archive-small', unit: 'MB/s', goal: 0.9, setUp: (directory) => contest(directory, makeSmallFiles) },
];

async function contest(directory: string, make: (tree: string) => Promise<number>): Promise<Contest> {
  const tree = join(directory, 'tree');
  await mkdir(tree);
  const bytes = await make(tree);
  const megabytes = bytes / 1e6;
  const sizes = { ours: 0, peer: 0 };
  return {
    async ours() {
      const workDirectory = await mkdtemp(join(directory, 'index-'));
      const seconds = await timed(async () => {
        const packing = packArchive([{ from: tree, as: 'tree' }], {
          workDirectory,
          level: LEVEL,
          signal: new AbortController().signal,
        });
        await pipeline(packing.stream, createWriteStream(join(directory, 'ours.tar.zst')));
        await packing.summary;
      });
      sizes.ours = (await stat(join(directory, 'ours.tar.zst'))).size;
      await rm(workDirectory, { recursive: true });
      await rm(join(directory, 'ours.tar.zst'));
      return megabytes / seconds;
    },
    async peer() {
      const script = `set -o pipefail; tar -C ${directory} -cf - tree | zstd -${LEVEL} -T0 -q -c | tee ${directory}/peer.tar.zst | sha256sum`;
      const seconds = await timed(() => execa('bash', ['-c', script]));
      sizes.peer = (await stat(join(directory, 'peer.tar.zst'))).size;
      await rm(join(directory, 'peer.tar.zst'));
      return megabytes / seconds;
    },
    notes: () => [
      `${megabytes.toFixed(0)} MB became ${(sizes.ours / 1e6).toFixed(0)} MB by ours, ${(sizes.peer / 1e6).toFixed(0)} MB by the peer`,
    ],
    [Symbol.asyncDispose]: () => rm(tree, { recursive: true, force: true }),
  };
}

/** 2 GiB like the COPY sections of a dump: keys that count, names from a vocabulary, hashes, times. */
async function makeText(tree: string): Promise<number> {
  const total = 2 * 2 ** 30;
  await using file = await open(join(tree, 'dump.dat'), 'w');
  let written = 0;
  for (let row = 0; written < total;) {
    const lines: string[] = [];
    for (let n = 0; n < 20_000; n++, row++) {
      const hash = n % 3 === 0 ? randomBytes(16).toString('hex') : '\\N';
      lines.push(
        `${row}\ttable_${row % 997}\thdfs://hacluster/warehouse/db_${row % 61}/day=${20200101 + (row % 2000)}\t${hash}\t${1_700_000_000 + row}\tt\n`,
      );
    }
    const block = Buffer.from(lines.join(''));
    await file.write(block);
    written += block.length;
  }
  return written;
}

/** 100,000 files of 1–8 KiB in directories of 500. */
async function makeSmallFiles(tree: string): Promise<number> {
  const pool = randomBytes(64 * 1024);
  let bytes = 0;
  for (let n = 0; n < 100_000; n++) {
    const directory = join(tree, `d${Math.floor(n / 500)}`);
    if (n % 500 === 0) await mkdir(directory);
    const size = 1024 + ((n * 2_654_435_761) % 7169);
    // A third of each file is text, so that it compresses a little, as small files do.
    const content = Buffer.concat([
      pool.subarray(n % 50_000, (n % 50_000) + Math.floor((size * 2) / 3)),
      Buffer.alloc(Math.ceil(size / 3), `line ${n}\n`),
    ]);
    await writeFile(join(directory, `f${n}`), content);
    bytes += content.length;
  }
  return bytes;
}
