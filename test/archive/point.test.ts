import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AppError } from '#common/errors.ts';
import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FRAME_BYTES } from '../../agent/archive/frames.ts';
import { createContentReader } from '../../agent/archive/point/content-reader.ts';
import { compareTreeOrder } from '../../agent/archive/point/tree-order.ts';
import { never } from '../vault/test-vault.ts';
import {
  allOf,
  archivesOf,
  digested,
  entriesIn,
  entriesOf,
  makePoint,
  nextGeneration,
  readOf,
  readerOf,
  treeOf,
} from './points.ts';
import type { Generation, Tree } from './points.ts';
import { scratch } from './trees.ts';

const SIZES = [
  0,
  1,
  511,
  512,
  513,
  4 * 1024,
  FRAME_BYTES - 1024,
  FRAME_BYTES - 512,
  FRAME_BYTES - 1,
  FRAME_BYTES,
  FRAME_BYTES + 1,
  9 * 1024 * 1024,
];

function sample(): Map<string, Buffer | undefined> {
  const tree = new Map<string, Buffer | undefined>([
    ['/data', undefined],
    ['/data/empty', undefined],
  ]);
  for (const size of SIZES) tree.set(`/data/${size}`, randomBytes(size));
  tree.set('/data/Größe-日本語-🚂', Buffer.from('unicode'));
  tree.set(`/data/${'ü'.repeat(120)}`, Buffer.from('a long name'));
  tree.set('/data/with\nnewline and "quotes" \\ back', Buffer.from('odd'));
  return tree;
}

describe('a point', () => {
  test('brings back every byte through its index', async () => {
    const tree = sample();
    const point = await makePoint(entriesOf(tree), readOf(tree));
    expect(digested(await treeOf(point))).toEqual(digested(tree));
    const total = [...tree.values()].reduce((sum, content) => sum + (content?.length ?? 0), 0);
    expect(point.summary).toMatchObject({
      entries: tree.size,
      contentBytes: BigInt(total),
      readBytes: BigInt(total),
      size: BigInt(point.archive.length),
      sha256: createHash('sha256').update(point.archive).digest('hex'),
      references: [],
      warnings: [],
    });
  });

  test('keeps the attributes of each entry, in tree order', async () => {
    const tree = sample();
    const { index } = await makePoint(entriesOf(tree), readOf(tree));
    const entries = await entriesIn(index);
    expect(entries.map(({ path }) => path)).toEqual((await allOf(entriesOf(tree))).map(({ path }) => path));
    for (const { attributes } of entries) expect(attributes).toEqual({ owner: 'hdfs', mode: 0o640, acl: ['user::rw-'] });
  });

  test('is opened by plain tar --zstd', async () => {
    await using dir = await scratch();
    const tree = sample();
    await writeFile(dir.at('a.tar.zst'), (await makePoint(entriesOf(tree), readOf(tree))).archive);
    await execa('zstd', ['-t', dir.at('a.tar.zst')]);
    await mkdir(dir.at('to'));
    await execa('tar', ['--zstd', '-xf', dir.at('a.tar.zst'), '-C', dir.at('to')]);
    await expectOnDisk(dir.at('to'), tree);
  });

  test('that is incremental holds in its own tar what is new, which plain tar opens', async () => {
    await using dir = await scratch();
    const first = await nextGeneration(sample(), 'first', undefined);
    const tree = new Map(first.tree);
    tree.set('/data/513', randomBytes(2 * FRAME_BYTES));
    tree.set('/data/new', Buffer.from('new'));
    tree.set('/data/newly empty', Buffer.alloc(0));
    tree.delete('/data/1');
    const second = await nextGeneration(tree, 'second', first);
    expect(second.summary.references).toEqual([
      { manifest: 'first', archive: { key: 'first.tar.zst', size: first.summary.size, sha256: first.summary.sha256 } },
    ]);
    expect(second.summary.readBytes).toBe(BigInt(2 * FRAME_BYTES + 3));
    expect(digested(await treeOf(second, archivesOf(second, [first])))).toEqual(digested(tree));

    await writeFile(dir.at('a.tar.zst'), second.archive);
    await mkdir(dir.at('to/data'), { recursive: true });
    await execa('tar', ['--zstd', '-xf', dir.at('a.tar.zst'), '-C', dir.at('to')]);
    const names = ['/data/513', '/data/new', '/data/newly empty'];
    await expectOnDisk(dir.at('to'), new Map([['/data', undefined], ...names.map((name) => [name, tree.get(name)] as const)]));
  });

  test('of which nothing is new is an archive of nothing', async () => {
    await using dir = await scratch();
    const first = await nextGeneration(sample(), 'first', undefined);
    const second = await nextGeneration(first.tree, 'second', first);
    expect(second.archive.length).toBeLessThan(100);
    expect(digested(await treeOf(second, archivesOf(second, [first])))).toEqual(digested(first.tree));
    await writeFile(dir.at('a.tar.zst'), second.archive);
    expect((await execa('tar', ['--zstd', '-tf', dir.at('a.tar.zst')])).stdout).toBe('');
  });

  test('of no entries is sound', async () => {
    const point = await makePoint(entriesOf(new Map()), readOf(new Map()));
    expect(point.summary).toMatchObject({ entries: 0, contentBytes: 0n, readBytes: 0n });
    expect(await entriesIn(point.index)).toEqual([]);
  });

  test('of any trees of three generations comes back, in any order', async () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'é', '.', '🚂', '\u{ffff}'), minLength: 1, maxLength: 60 });
    const path = fc
      .array(
        name.filter((part) => part !== '.' && part !== '..'),
        { minLength: 1, maxLength: 3 },
      )
      .map((parts) => `/${parts.join('/')}`);
    const size = fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...SIZES.slice(0, 6)) },
      { weight: 1, arbitrary: fc.constantFrom(...SIZES) },
    );
    const files = fc.array(fc.tuple(path, size), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.tuple(files, files, files), fc.infiniteStream(fc.nat()), async (generations, random) => {
        const made: Generation[] = [];
        for (const [number, written] of generations.entries()) {
          const tree = withParents(made.at(-1)?.tree ?? new Map(), written);
          made.push(await nextGeneration(tree, `generation ${number}`, made.at(-1)));
        }
        for (const point of made) {
          const { read } = readerOf(archivesOf(point, made));
          const entries = (await entriesIn(point.index)).filter(({ type }) => type === 'file');
          const shuffled = entries.map((entry) => ({ entry, place: random.next().value })).sort((a, b) => a.place - b.place);
          const contents = await Promise.all(shuffled.map(async ({ entry }) => [entry.path, await read(entry)] as const));
          const tree = [...point.tree].filter(([, content]) => content !== undefined);
          expect(digested(new Map(contents.sort(byPath)))).toEqual(digested(new Map(tree.sort(byPath))));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('of files across the bounds of frames comes back, whatever their sizes', async () => {
    const size = fc.oneof(fc.constantFrom(...SIZES), fc.nat(FRAME_BYTES));
    await fc.assert(
      fc.asyncProperty(fc.array(size, { minLength: 1, maxLength: 5 }), async (sizes) => {
        const tree: Tree = new Map(sizes.map((bytes, i) => [`/${i}`, randomBytes(bytes)] as const));
        expect(digested(await treeOf(await makePoint(entriesOf(tree), readOf(tree))))).toEqual(digested(tree));
      }),
      { numRuns: 10 },
    );
  });
});

describe('the content of files', () => {
  test('that lie in one frame is fetched once, also when all are asked for at once', async () => {
    const tree: Tree = new Map(Array.from({ length: 300 }, (_, i) => [`/${String(i).padStart(3, '0')}`, randomBytes(700)]));
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const { fetched, read } = readerOf([archive]);
    const entries = await entriesIn(index);
    const contents = await Promise.all(entries.map(async (entry) => [entry.path, await read(entry)] as const));
    expect(digested(new Map(contents))).toEqual(digested(tree));
    for (const entry of entries) await read(entry);
    expect(fetched).toHaveLength(1);
  });

  test('that fits a frame is in one, and what does not has its own', async () => {
    const tree: Tree = new Map(
      [3_000_000, 3_000_000, FRAME_BYTES - 512, FRAME_BYTES - 511, 100].map((size, i) => [`/${i}`, randomBytes(size)]),
    );
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const { fetched, read } = readerOf([archive]);
    const entries = await entriesIn(index);
    for (const entry of entries) await read(entry);
    // The last lies behind the last byte of the one before, which has its block for itself.
    expect(new Set(fetched.map(({ start }) => start)).size).toBe(5);
    for (const { content } of entries.slice(0, -1)) expect(content?.location.at).toBe(512);
    expect(entries.at(-1)?.content?.location.at).toBe(512 + 512);
  });

  test('that cannot be fetched now can be later, and a stop of one reader is none of another', async () => {
    const tree: Tree = new Map([
      ['/a', Buffer.from('one')],
      ['/b', Buffer.from('two')],
    ]);
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const [a, b] = await entriesIn(index);
    const came = Promise.withResolvers<void>();
    let failing = true;
    const reader = createContentReader(
      async () => {
        if (failing) throw new AppError('UNAVAILABLE', 'the vault is away');
        await came.promise;
        return Readable.from([archive]);
      },
      { signal: never },
    );
    await expect(reader.open(a!, never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('/a') as string,
    });
    failing = false;
    const stopping = new AbortController();
    const stopped = reader.open(a!, stopping.signal);
    const going = reader.open(b!, never);
    stopping.abort(new AppError('STOPPED', 'enough'));
    await expect(stopped).rejects.toThrow('enough');
    came.resolve();
    expect((await buffer(await going)).toString()).toBe('two');
  });
});

/** Files in the place of what was there; what became a directory is none any more. */
function withParents(old: Tree, written: readonly (readonly [string, number])[]): Tree {
  const tree = new Map(old);
  for (const [path, size] of written) {
    for (const key of tree.keys()) if (key.startsWith(`${path}/`)) tree.delete(key);
    tree.set(path, randomBytes(size));
    for (let at = path.indexOf('/', 1); at !== -1; at = path.indexOf('/', at + 1)) tree.set(path.slice(0, at), undefined);
  }
  return tree;
}

function byPath([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return compareTreeOrder(a, b);
}

async function expectOnDisk(root: string, tree: Tree): Promise<void> {
  const { stdout } = await execa('find', ['.', '-mindepth', '1', '-print0'], { cwd: root });
  expect(
    new Set(
      stdout
        .split('\0')
        .filter((path) => path !== '')
        .map((path) => path.slice(1)),
    ),
  ).toEqual(new Set(tree.keys()));
  for (const [path, content] of tree) if (content !== undefined) expect((await readFile(root + path)).equals(content)).toBe(true);
}
