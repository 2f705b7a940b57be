/** Trees in memory, points made of them, and points made on top of points. */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createContentReader } from '../../agent/archive/point/content-reader.ts';
import { packPoint } from '../../agent/archive/point/pack-point.ts';
import type {
  IndexEntry,
  PackPointOptions,
  PointEntry,
  PointSummary,
  ReadContent,
  Reference,
} from '../../agent/archive/point/point.ts';
import { readPoint } from '../../agent/archive/point/read-point.ts';
import { compareTreeOrder } from '../../agent/archive/point/tree-order.ts';
import { never } from '../vault/test-vault.ts';
import { scratch } from './trees.ts';

/** Absolute path → content; a directory has none. */
export type Tree = ReadonlyMap<string, Buffer | undefined>;

export interface Point {
  readonly archive: Buffer;
  readonly index: Buffer;
  readonly summary: PointSummary;
}

export async function* entriesOf(tree: Tree, change: (entry: PointEntry) => PointEntry = (entry) => entry) {
  for (const path of [...tree.keys()].toSorted(compareTreeOrder)) yield change(entryOf(path, tree.get(path)));
}

export function entryOf(path: string, content: Buffer | undefined): PointEntry {
  const file = content !== undefined;
  return {
    path,
    type: file ? 'file' : 'directory',
    size: BigInt(content?.length ?? 0),
    attributes: { owner: 'hdfs', mode: 0o640, acl: ['user::rw-'] },
    mode: file ? 0o640 : 0o755,
    modifiedMs: 1_700_000_000_000,
    content: file && content.length > 0 ? { kind: 'read', from: `/.snapshot${path}` } : undefined,
    inTar: true,
  };
}

/** Gives a file in chunks that never fit anything. */
export function readOf(tree: Tree): ReadContent {
  return async (from, offset, length) => {
    const content = tree.get(from.slice('/.snapshot'.length)) ?? Buffer.alloc(0);
    return Readable.from(chunksOf(content.subarray(Number(offset), Number(offset + length))), { objectMode: false });
  };
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_521) yield bytes.subarray(at, at + 65_521);
}

export async function makePoint(
  entries: AsyncIterable<PointEntry>,
  read: ReadContent,
  options: Partial<PackPointOptions> = {},
): Promise<Point> {
  await using work = await scratch();
  const making = packPoint(entries, read, { workDirectory: work.path, level: 1, lanes: 8, signal: never, ...options });
  const archive = await buffer(making.stream);
  return { archive, index: await readFile(await making.index), summary: await making.summary };
}

export async function entriesIn(index: Buffer): Promise<IndexEntry[]> {
  return allOf(readPoint(Readable.from([index]), never));
}

export async function allOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

/** `archives[k]` is the archive that `in` k means. */
export function readerOf(archives: readonly Buffer[]) {
  const fetched: { archive: number; start: bigint }[] = [];
  const { open } = createContentReader(
    async (archive, start, end) => {
      fetched.push({ archive, start });
      return Readable.from(chunksOf(archives[archive]!.subarray(Number(start), Number(end))), { objectMode: false });
    },
    { signal: never },
  );
  return { fetched, read: async (entry: IndexEntry) => buffer(await open(entry, never)), open };
}

/** The tree that a point brings back. */
export async function treeOf(
  point: Point,
  archives: readonly Buffer[] = [point.archive],
): Promise<Map<string, Buffer | undefined>> {
  const { read } = readerOf(archives);
  const tree = new Map<string, Buffer | undefined>();
  for (const entry of await entriesIn(point.index)) {
    tree.set(entry.path, entry.type === 'file' ? await read(entry) : undefined);
  }
  return tree;
}

/** A point among those that it may refer to, by the names of their manifests. */
export interface Generation extends Point {
  readonly name: string;
  readonly tree: Tree;
}

/** An incremental: what the one before has as it is, is kept where it lies. */
export async function nextGeneration(tree: Tree, name: string, before: Generation | undefined): Promise<Generation> {
  const old = new Map(before === undefined ? [] : (await entriesIn(before.index)).map((entry) => [entry.path, entry]));
  const keep = (entry: PointEntry): PointEntry => {
    const known = old.get(entry.path);
    const [was, is] = [before?.tree.get(entry.path), tree.get(entry.path)];
    if (before === undefined || known === undefined || (was === undefined) !== (is === undefined)) return entry;
    if (is !== undefined && was?.equals(is) !== true) return entry;
    if (known.content === undefined) return { ...entry, inTar: false };
    return { ...entry, content: { kind: 'kept', in: referenceOf(before, known.content.in), location: known.content.location } };
  };
  return { ...(await makePoint(entriesOf(tree, keep), readOf(tree))), name, tree };
}

function referenceOf({ name, summary }: Generation, number: number): Reference {
  if (number > 0) return summary.references[number - 1]!;
  return { manifest: name, archive: { key: `${name}.tar.zst`, size: summary.size, sha256: summary.sha256 } };
}

/** Its archive, and those that it refers to. */
export function archivesOf(point: Generation, all: readonly Generation[]): Buffer[] {
  return [point, ...point.summary.references.map(({ manifest }) => all.find(({ name }) => name === manifest)!)].map(
    ({ archive }) => archive,
  );
}

/** Digests in place of contents: for comparing, and to be shown when they differ. */
export function digested(tree: Tree): Map<string, string> {
  return new Map([...tree].map(([path, content]) => [path, content === undefined ? 'directory' : hash('sha256', content)]));
}
