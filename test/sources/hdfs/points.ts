/** Makes points of an HDFS as the runner does, keeps their archives and indexes in a directory, and reads them back. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createContentReader } from '../../../agent/archive/point/content-reader.ts';
import type { IndexEntry, Reference } from '../../../agent/archive/point/point.ts';
import { readPoint } from '../../../agent/archive/point/read-point.ts';
import { abandonHdfsBackup, prepareHdfsBackup } from '../../../agent/sources/hdfs/backup.ts';
import type { HdfsSettings } from '../../../agent/sources/hdfs/settings.ts';
import type { Base, HdfsSelection, PointBackupRequest } from '../../../agent/sources/point-source.ts';
import type { SourceIo } from '../../../agent/sources/source.ts';

export const never: AbortSignal = new AbortController().signal;
export const TASK = { name: 'nightly', createdMs: Date.UTC(2026, 0, 1) };

export interface Point {
  readonly base: Base;
  readonly fullBecause: string | undefined;
  readonly readBytes: bigint;
  readonly entries: readonly IndexEntry[];
  readonly archives: readonly string[];
}

export function selectionOf(changes: Partial<HdfsSelection> = {}): HdfsSelection {
  return { paths: [], patterns: [], excludes: [], nameService: '', snapshotRoots: [], keptSnapshots: 0, ...changes };
}

export async function createPoints(settings: HdfsSettings) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-points-'));
  const stateDirectory = join(directory, 'state');
  const log: string[] = [];
  /** Manifest key → archive. */
  const archives = new Map<string, string>();
  let count = 0;

  async function io(signal = never): Promise<SourceIo> {
    const workDirectory = join(directory, `work${++count}`);
    await mkdir(workDirectory);
    return { workDirectory, signal, log: (level, message) => void log.push(`${level}: ${message}`), progress: () => undefined };
  }
  const requestOf = (selection: HdfsSelection, base: Base | undefined, task = TASK): PointBackupRequest => ({
    task,
    // Each a minute after the one before: their names differ.
    startedMs: Date.UTC(2026, 10, 25) + ++count * 60_000,
    selection,
    base,
  });

  return {
    directory,
    stateDirectory,
    log,
    io,
    requestOf,
    prepare: async (request: PointBackupRequest, signal?: AbortSignal) =>
      prepareHdfsBackup(settings, stateDirectory, request, await io(signal)),
    abandon: async (request: PointBackupRequest) => abandonHdfsBackup(settings, stateDirectory, request, await io()),

    async make(selection: HdfsSelection, base?: Base, task = TASK): Promise<Point> {
      const request = requestOf(selection, base, task);
      const own = await io();
      await using prepared = await prepareHdfsBackup(settings, stateDirectory, request, own);
      await prepared.estimate();
      const content = await prepared.backup();
      const making = content.pack({ workDirectory: own.workDirectory, level: 1, signal: never });
      const archive = join(directory, `archive${count}`);
      await pipeline(making.stream, createWriteStream(archive));
      const { references, size, sha256, ...summary } = await making.summary;
      const index = await making.index;
      await prepared.keep();
      const manifest = `key${count}/manifest.json`;
      archives.set(manifest, archive);
      return {
        base: {
          facts: content.facts,
          manifest,
          archive: { key: archive, size, sha256 },
          references,
          index: () => Promise.resolve(index),
        },
        fullBecause: content.fullBecause,
        readBytes: 'readBytes' in summary ? BigInt(String(summary.readBytes)) : 0n,
        entries: await collect(readPoint(createReadStream(index), never)),
        archives: [archive, ...references.map((reference: Reference) => archives.get(reference.manifest) ?? '')],
      };
    },

    /** The content of every file, out of the archives. */
    async contents({ entries, archives: files }: Point): Promise<ReadonlyMap<string, Buffer>> {
      const reader = createContentReader(
        (number, start, end) =>
          Promise.resolve(createReadStream(files[number] ?? '', { start: Number(start), end: Number(end) - 1 })),
        { signal: never },
      );
      const found = new Map<string, Buffer>();
      for (const entry of entries) {
        if (entry.type !== 'file') continue;
        found.set(entry.path, Buffer.concat(await (await reader.open(entry, never)).toArray()));
      }
      return found;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of from) all.push(each);
  return all;
}
