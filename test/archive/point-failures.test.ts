/** What goes wrong while a point is made or read: every failure names what it met, and nothing goes on behind it. */
import { randomBytes } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { AppError } from '#common/errors.ts';
import { FRAME_BYTES } from '../../agent/archive/frames.ts';
import { createContentReader } from '../../agent/archive/point/content-reader.ts';
import { packPoint } from '../../agent/archive/point/pack-point.ts';
import type { PointEntry, ReadContent } from '../../agent/archive/point/point.ts';
import { never } from '../vault/test-vault.ts';
import { digested, entriesIn, entriesOf, entryOf, makePoint, readOf, readerOf } from './points.ts';
import type { Tree } from './points.ts';
import { scratch } from './trees.ts';

/** Many small files, and one of several frames. */
function sample(): Map<string, Buffer> {
  const tree = new Map<string, Buffer>();
  for (let i = 1000; i < 3000; i++) tree.set(`/d/${i}`, randomBytes(4000));
  tree.set('/d/4000', randomBytes(3 * FRAME_BYTES));
  return tree;
}

/** Counts the reads that were begun and are not over. */
function watched(read: ReadContent) {
  const open = new Set<object>();
  let most = 0;
  return {
    open,
    most: () => most,
    read: (async (from, offset, length, signal) => {
      const mark = {};
      open.add(mark);
      most = Math.max(most, open.size);
      try {
        const stream = await read(from, offset, length, signal);
        stream.once('close', () => open.delete(mark));
        return stream;
      } catch (error) {
        open.delete(mark);
        throw error;
      }
    }) satisfies ReadContent,
  };
}

/** Fails for one file. */
function failingAt(name: string, tree: Tree, read: ReadContent) {
  return watched((from, ...rest) => (from.endsWith(name) ? read(from, ...rest) : readOf(tree)(from, ...rest)));
}

async function expectFailure(entries: AsyncIterable<PointEntry>, read: ReadContent, expected: object): Promise<void> {
  await using work = await scratch();
  const making = packPoint(entries, read, { workDirectory: work.path, level: 1, lanes: 8, signal: never });
  const settled = Promise.allSettled([making.summary, making.index]);
  await expect(buffer(making.stream)).rejects.toMatchObject(expected);
  for (const result of await settled) expect(result).toMatchObject({ status: 'rejected', reason: expected });
}

describe('a point that cannot be made', () => {
  const tree = sample();
  const naming = (path: string) => expect.stringContaining(path) as string;

  test('says which file could not be opened', async () => {
    const { read, open } = failingAt('/d/2500', tree, () => Promise.reject(new Error('no such block')));
    await expectFailure(entriesOf(tree), read, { code: 'FAILED', message: 'read /d/2500: no such block' });
    expect(open.size).toBe(0);
  });

  test('keeps the code of what a file could not be read for, and names the file', async () => {
    const away = new AppError('UNAVAILABLE', 'the DataNode is away');
    const { read, open } = failingAt('/d/4000', tree, async () => Readable.from(brokenAfter(100, away), { objectMode: false }));
    await expectFailure(entriesOf(tree), read, { code: 'UNAVAILABLE', message: 'read /d/4000: the DataNode is away' });
    expect(open.size).toBe(0);
  });

  test('says which file ended early, and where', async () => {
    const { read, open } = failingAt('/d/1500', tree, async () => Readable.from([Buffer.alloc(3999)]));
    await expectFailure(entriesOf(tree), read, { code: 'FAILED', message: 'read /d/1500: it ended after 3999 of 4000 bytes' });
    expect(open.size).toBe(0);
  });

  test('says which file gave more than it has', async () => {
    const { read } = failingAt('/d/1500', tree, async () => Readable.from([Buffer.alloc(4001)]));
    await expectFailure(entriesOf(tree), read, { code: 'FAILED', message: naming('/d/1500: it gave more') });
  });

  test('says what the listing failed with, even behind files that hang', async () => {
    async function* listing() {
      for (let i = 1000; i < 1100; i++) yield entryOf(`/d/${i}`, tree.get(`/d/${i}`));
      throw new AppError('UNAVAILABLE', 'list /d: the NameNode is away');
    }
    const { read, open } = watched(async (_from, _offset, _length, signal) => hanging(signal));
    await expectFailure(listing(), read, { code: 'UNAVAILABLE', message: naming('NameNode') });
    expect(open.size).toBe(0);
  });

  test('does not wait for a listing that hangs when a file has failed', async () => {
    let left = false;
    async function* listing() {
      for (const [path, content] of tree) yield entryOf(path, content);
      await new Promise(() => {});
    }
    const entries = listing();
    const close = entries.return.bind(entries);
    entries.return = (value) => {
      left = true;
      return close(value);
    };
    const { read } = failingAt('/d/1001', tree, () => Promise.reject(new Error('no such block')));
    await expectFailure(entries, read, { message: naming('/d/1001') });
    expect(left).toBe(true);
  });

  test('refuses entries that are out of order, twice there, or lead elsewhere', async () => {
    const one = Buffer.from('1');
    const cases: [string[], string][] = [
      [['/b', '/a'], '/a comes after /b'],
      [['/a', '/a'], '/a comes after /a'],
      [['/a-b', '/a/b'], '/a/b comes after /a-b'],
      [['/\u{ffff}', '/\u{10000}', '/\u{fffe}'], 'comes after'],
      [['/a/../b'], 'is no path'],
      [['/a//b'], 'is no path'],
      [['a'], 'is no path'],
      [['/a\0'], 'is no path'],
      [['/\ud800'], 'is no path'],
    ];
    for (const [paths, message] of cases) {
      async function* entries() {
        for (const path of paths) yield entryOf(path, one);
      }
      await expectFailure(entries(), async () => Readable.from([one]), { code: 'BUG', message: naming(message) });
    }
  });

  test('refuses an attribute that is called as a field of its own', async () => {
    const entries = entriesOf(new Map([['/a', undefined]]), (entry) => ({ ...entry, attributes: { frame: 1 } }));
    await expectFailure(entries, readOf(tree), { code: 'BUG', message: naming('called frame') });
  });
});

describe('a point in the making', () => {
  const tree = sample();

  test('that is aborted leaves no read behind', async () => {
    await using work = await scratch();
    const stopping = new AbortController();
    const { read, open } = watched(async (_from, _offset, _length, signal) => {
      if (open.size === 8) queueMicrotask(() => stopping.abort(new AppError('STOPPED', 'enough')));
      return hanging(signal);
    });
    const making = packPoint(entriesOf(tree), read, { workDirectory: work.path, level: 1, lanes: 8, signal: stopping.signal });
    await expect(buffer(making.stream)).rejects.toThrow('enough');
    await expect(making.summary).rejects.toThrow('enough');
    expect(open.size).toBe(0);
  });

  test('that was aborted before it began begins nothing', async () => {
    await using work = await scratch();
    const { read, most } = watched(readOf(tree));
    const signal = AbortSignal.abort(new AppError('STOPPED', 'enough'));
    const making = packPoint(entriesOf(tree), read, { workDirectory: work.path, level: 1, lanes: 8, signal });
    await expect(buffer(making.stream)).rejects.toThrow('enough');
    expect(most()).toBe(0);
  });

  test('whose reader goes away leaves no read behind', async () => {
    await using work = await scratch();
    const { read, open } = watched(readOf(tree));
    const making = packPoint(entriesOf(tree), read, { workDirectory: work.path, level: 1, lanes: 8, signal: never });
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('the vault is full')) });
    await expect(pipeline(making.stream, gone)).rejects.toThrow('the vault is full');
    if (!making.stream.closed) await new Promise((resolve) => making.stream.once('close', resolve));
    await expect(making.summary).rejects.toThrow('the vault is full');
    expect(open.size).toBe(0);
  });

  test('that is destroyed at any moment ends', async () => {
    const small: Tree = new Map([...tree].slice(0, 1100));
    for (let turns = 0; turns < 60; turns++) {
      await using work = await scratch();
      const { read, open } = watched(readOf(small));
      const making = packPoint(entriesOf(small), read, { workDirectory: work.path, level: 1, lanes: 64, signal: never });
      making.stream.on('error', () => undefined).read(0);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      making.stream.destroy(new Error('enough'));
      if (!making.stream.closed) await new Promise((resolve) => making.stream.once('close', resolve));
      expect(open.size).toBe(0);
    }
  });

  test('reads as many pieces at once as it has lanes', async () => {
    for (const lanes of [1, 5, 64]) {
      const { read, most } = watched(readOf(tree));
      await makePoint(entriesOf(tree), read, { lanes });
      expect(most()).toBe(lanes);
    }
  });

  test('is not read faster than its reader takes it', async () => {
    await using work = await scratch();
    const large: Tree = new Map([['/large', randomBytes(40 * FRAME_BYTES)]]);
    let asked = 0;
    let taken = 0;
    let ahead = 0;
    const reading: ReadContent = (from, offset, length, signal) => {
      asked += Number(length);
      return readOf(large)(from, offset, length, signal);
    };
    const making = packPoint(entriesOf(large), reading, { workDirectory: work.path, level: 1, lanes: 64, signal: never });
    const slow = new Writable({
      write(chunk: Buffer, _encoding, done) {
        ahead = Math.max(ahead, asked - taken);
        taken += chunk.length;
        // As long as there is something left to do, it is done before the next frame is taken.
        let turns = 200;
        const wait = () => (turns-- > 0 ? setImmediate(wait) : done());
        wait();
      },
    });
    await pipeline(making.stream, slow);
    expect(ahead).toBeLessThanOrEqual(12 * FRAME_BYTES);
  });
});

describe('an archive that is damaged', () => {
  const tree = sample();

  test('gives back what lies in other frames, and names the files of the one that is damaged', async () => {
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const entries = await entriesIn(index);
    for (const path of ['/d/1000', '/d/4000']) {
      const { frame, end } = entries.find((entry) => entry.path === path)!.content!.location;
      const altered = Buffer.from(archive);
      const at = Number((frame + end) / 2n);
      altered[at] = altered[at]! ^ 1;
      const { read } = readerOf([altered]);
      const good = new Map<string, Buffer>();
      for (const entry of entries) {
        const inside = entry.content!.location.frame < end && entry.content!.location.end > frame;
        if (!inside) good.set(entry.path, await read(entry));
      }
      expect(digested(good)).toEqual(digested(new Map([...tree].filter(([name]) => good.has(name)))));
      expect(good.size).toBeGreaterThan(0);
      const lost = entries.find((entry) => entry.path === path)!;
      await expect(read(lost)).rejects.toMatchObject({ code: 'DAMAGED', message: expect.stringContaining(path) as string });
    }
  });

  test('is fetched once, however many of its files are asked for', async () => {
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const { read, fetched } = readerOf([randomBytes(archive.length)]);
    for (const entry of (await entriesIn(index)).slice(0, 50)) {
      await expect(read(entry)).rejects.toMatchObject({
        code: 'DAMAGED',
        message: expect.stringContaining(entry.path) as string,
      });
    }
    expect(fetched).toHaveLength(1);
  });

  test('is told from its index by the digest of each file', async () => {
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const { read } = readerOf([archive]);
    for (const entry of (await entriesIn(index)).filter(({ path }) => ['/d/1000', '/d/4000'].includes(path))) {
      const { content } = entry;
      const moved = { ...entry, content: { in: 0, location: { ...content!.location, at: 0 } } };
      await expect(read(moved)).rejects.toMatchObject({
        code: 'DAMAGED',
        message: expect.stringContaining(entry.path) as string,
      });
    }
  });

  test('that cannot be fetched is not called damaged', async () => {
    const { index } = await makePoint(entriesOf(tree), readOf(tree));
    const away = new AppError('UNAVAILABLE', 'the vault is away');
    const { open } = createContentReader(async () => Readable.from(brokenAfter(0, away), { objectMode: false }), {
      signal: never,
    });
    for (const entry of (await entriesIn(index)).filter(({ path }) => ['/d/1000', '/d/4000'].includes(path))) {
      const reading = open(entry, never).then((stream) => buffer(stream));
      await expect(reading).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
  });

  test('is left when a stream of it is destroyed or stopped', async () => {
    const { archive, index } = await makePoint(entriesOf(tree), readOf(tree));
    const entry = (await entriesIn(index)).find(({ path }) => path === '/d/4000')!;
    const closed: Promise<unknown>[] = [];
    const { open } = createContentReader(
      async (_archive, start) => {
        const stream = Readable.from([archive.subarray(Number(start), Number(start) + 100_000), new Promise(() => {})]);
        closed.push(new Promise((resolve) => stream.once('close', resolve)));
        return stream;
      },
      { signal: never },
    );
    (await open(entry, never)).destroy();
    const stopping = new AbortController();
    const stopped = await open(entry, stopping.signal);
    stopping.abort(new AppError('STOPPED', 'enough'));
    await expect(buffer(stopped)).rejects.toMatchObject({ code: 'STOPPED' });
    expect(closed).toHaveLength(2);
    await Promise.all(closed);
  });
});

async function* brokenAfter(bytes: number, error: Error): AsyncGenerator<Buffer> {
  if (bytes > 0) yield Buffer.alloc(bytes);
  throw error;
}

/** Gives nothing until it is stopped. */
function hanging(signal: AbortSignal): Readable {
  const stream = new Readable({ read: () => {} });
  signal.addEventListener('abort', () => stream.destroy(), { once: true });
  return stream;
}
