import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '#common/errors.ts';
import type { PointEntry } from '../../agent/archive/point/point.ts';
import { readPoint } from '../../agent/archive/point/read-point.ts';
import { compareTreeOrder } from '../../agent/archive/point/tree-order.ts';
import { never } from '../vault/test-vault.ts';
import { allOf, entriesIn, entriesOf, makePoint, readOf } from './points.ts';
import type { Tree } from './points.ts';

const tree: Tree = new Map([
  ['/a', undefined],
  ['/a/b', randomBytes(10)],
  ['/a/c', Buffer.alloc(0)],
]);

async function linesOfSample(): Promise<string[]> {
  const { index } = await makePoint(entriesOf(tree), readOf(tree));
  return zstdDecompressSync(index).toString().trimEnd().split('\n');
}

function packed(lines: readonly string[]): Buffer {
  return zstdCompressSync(lines.map((line) => `${line}\n`).join(''), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

describe('the index of a point', () => {
  test('is one JSON value a line, with the place of each content', async () => {
    const [head, ...lines] = await linesOfSample();
    expect(head).toBe('{"format":"holdfast-index/2"}');
    const place = { in: 0, frame: '0', at: 512 + 512, end: expect.stringMatching(/^\d+$/) as string };
    const attributes = { owner: 'hdfs', mode: 0o640, acl: ['user::rw-'] };
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      { path: '/a', type: 'directory', size: '0', ...attributes },
      {
        path: '/a/b',
        type: 'file',
        size: '10',
        ...attributes,
        ...place,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
      { path: '/a/c', type: 'file', size: '0', ...attributes },
      { entries: 3, contentBytes: '10' },
    ]);
  });

  test('keeps symlinks, and the root of all, without a place in the tar', async () => {
    async function* entries(): AsyncGenerator<PointEntry> {
      for await (const entry of entriesOf(
        new Map([
          ['/', undefined],
          ['/a', undefined],
        ]),
      ))
        yield entry;
      for await (const entry of entriesOf(new Map([['/b', undefined]]))) {
        yield { ...entry, type: 'symlink', attributes: { target: '/a' } };
      }
    }
    const { index } = await makePoint(entries(), readOf(tree));
    expect((await entriesIn(index)).map(({ path, type, attributes }) => [path, type, attributes['target']])).toEqual([
      ['/', 'directory', undefined],
      ['/a', 'directory', undefined],
      ['/b', 'symlink', '/a'],
    ]);
  });

  test('that is cut anywhere is refused', async () => {
    const { index } = await makePoint(entriesOf(tree), readOf(tree));
    for (let length = 0; length < index.length; length++) {
      await expect(entriesIn(index.subarray(0, length))).rejects.toMatchObject({ code: 'DAMAGED' });
    }
    const lines = await linesOfSample();
    for (let count = 0; count < lines.length; count++) {
      await expect(entriesIn(packed(lines.slice(0, count)))).rejects.toMatchObject({ code: 'DAMAGED' });
    }
  });

  test('of which a byte was altered is refused, or says the same', async () => {
    const { index } = await makePoint(entriesOf(tree), readOf(tree));
    const entries = await entriesIn(index);
    for (let at = 0; at < index.length; at++) {
      for (const by of [1, 4, 16, 128, 255]) {
        const altered = Buffer.from(index);
        altered[at] = altered[at]! ^ by;
        // Some bits of a zstd frame mean nothing.
        const read = await entriesIn(altered).catch((error: unknown) => error);
        if (read instanceof Error) expect(read).toMatchObject({ code: 'DAMAGED' });
        else expect(read).toEqual(entries);
      }
    }
  });

  test('that does not say what it must, or says more, is refused', async () => {
    const [head = '', directory = '', file = '', empty = '', end = ''] = await linesOfSample();
    const sound = [head, directory, file, empty, end];
    await expect(entriesIn(packed(sound))).resolves.toHaveLength(3);
    const without = (name: string) => JSON.stringify({ ...(JSON.parse(file) as object), [name]: undefined });
    const changed = (changes: object) => JSON.stringify({ ...(JSON.parse(file) as object), ...changes });
    const faulty: string[][] = [
      [],
      ['{"format":"holdfast-index/1"}', directory, file, empty, end],
      ['{"format":"holdfast-index/2","more":1}', directory, file, empty, end],
      [directory, file, empty, end],
      [head, file, directory, empty, end],
      [head, directory, file, file, end],
      [head, directory, directory, file, empty, '{"entries":4,"contentBytes":"10"}'],
      [...sound, end],
      [...sound, directory],
      [head, directory, file, empty, '{"entries":2,"contentBytes":"10"}'],
      [head, directory, file, empty, '{"entries":3,"contentBytes":"11"}'],
      [head, directory, file, empty, '{"entries":3,"contentBytes":"10","more":1}'],
      [head, directory, file, empty, '{"entries":3}'],
      [head, directory, '{"nothing":1}', file, empty, end],
      [head, directory, 'null', file, empty, end],
      [head, directory, '{', file, empty, end],
      ...['path', 'type', 'size', 'in', 'frame', 'at', 'end', 'sha256'].map((name) => [
        head,
        directory,
        without(name),
        empty,
        end,
      ]),
      ...[
        { path: '/a/../b' },
        { path: 'b' },
        { path: 7 },
        { type: 'socket' },
        { type: 'directory' },
        { size: '0' },
        { size: 10 },
        { size: '-1' },
        { size: '010' },
        { in: -1 },
        { in: 0.5 },
        { at: 4 * 1024 * 1024 },
        { at: '512' },
        { frame: '99', end: '99' },
        { frame: 0 },
        { sha256: 'A'.repeat(64) },
      ].map((changes) => [head, directory, changed(changes), empty, end]),
    ];
    for (const lines of faulty) {
      await expect(entriesIn(packed(lines)), lines.join('\n')).rejects.toMatchObject({ code: 'DAMAGED' });
    }
  });

  test('with a line that does not end is refused before it fills the memory', async () => {
    const large = packed(['x'.repeat(64 * 1024 * 1024)]);
    await expect(entriesIn(large)).rejects.toMatchObject({ code: 'DAMAGED' });
    const portion = zstdCompressSync('x'.repeat(1024 * 1024), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    await expect(entriesIn(Buffer.concat(Array.from({ length: 20 }, () => portion)))).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('without an end') as string,
    });
  });

  test('fails with what its bytes could not be fetched for', async () => {
    async function* broken() {
      yield (await makePoint(entriesOf(tree), readOf(tree))).index.subarray(0, 20);
      throw new AppError('UNAVAILABLE', 'the vault is away');
    }
    await expect(allOf(readPoint(Readable.from(broken()), never))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('is left when its reader stops or is stopped', async () => {
    const { index } = await makePoint(entriesOf(tree), readOf(tree));
    const left = Readable.from([index]);
    for await (const entry of readPoint(left, never)) {
      expect(entry.path).toBe('/a');
      break;
    }
    expect(left.destroyed).toBe(true);
    const stopping = new AbortController();
    const hanging = new Readable({ read: () => {} });
    const reading = allOf(readPoint(hanging, stopping.signal));
    stopping.abort(new AppError('STOPPED', 'enough'));
    await expect(reading).rejects.toThrow('enough');
    expect(hanging.destroyed).toBe(true);
  });

  test('takes few bytes for an entry that is kept, and is read in the order it was written in', async () => {
    const count = 50_000;
    async function* entries(): AsyncGenerator<PointEntry> {
      for (let i = 0; i < count; i++) {
        const sha256 = randomBytes(32).toString('hex');
        const archive = { key: 'old.tar.zst', size: 1n, sha256 };
        yield {
          path: `/warehouse/part-${String(i).padStart(8, '0')}`,
          type: 'file',
          size: 4096n,
          attributes: { owner: 'hive', group: 'hadoop', permission: '640', modified: 1_700_000_000_000 + i * 977 },
          mode: 0o640,
          modifiedMs: 0,
          content: {
            kind: 'kept',
            in: { manifest: `old ${i % 3}`, archive },
            location: { frame: BigInt(i) * 1009n, end: BigInt(i) * 1009n + 3_000_000n, at: 512, sha256 },
          },
          inTar: false,
        };
      }
    }
    const { index, summary } = await makePoint(entries(), readOf(tree));
    expect(summary.references.map(({ manifest }) => manifest)).toEqual(['old 0', 'old 1', 'old 2']);
    expect(index.length / count).toBeLessThan(70);
    let seen = 0;
    for await (const { path, content } of readPoint(Readable.from([index]), never)) {
      expect(path.endsWith(String(seen))).toBe(true);
      expect(content?.in).toBe((seen++ % 3) + 1);
    }
    expect(seen).toBe(count);
  });
});

describe('tree order', () => {
  test('is that of the bytes of names as signed numbers, which is how HDFS lists, each directory before what it holds', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '0', 'é', '\u{ffff}', '🚂'), minLength: 1, maxLength: 4 });
    const path = fc.array(name, { minLength: 1, maxLength: 3 });
    /** Bytes whose order as unsigned numbers is that of the name's as signed ones. */
    const signed = (part: string) => Buffer.from(part).map((byte) => byte ^ 0x80);
    const reference = (a: readonly string[], b: readonly string[]): number => {
      for (const [i, part] of a.entries()) {
        const other = b[i];
        if (other === undefined) return 1;
        const order = Buffer.compare(signed(part), signed(other));
        if (order !== 0) return order;
      }
      return a.length - b.length;
    };
    fc.assert(
      fc.property(path, path, (a, b) => {
        expect(Math.sign(compareTreeOrder(`/${a.join('/')}`, `/${b.join('/')}`))).toBe(Math.sign(reference(a, b)));
      }),
    );
  });
});
