/** Reads one file out of an archive, alone, by its index: only the frames that it lies in are fetched. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { AppError } from '#common/errors.ts';
import { FRAME_BYTES } from '../../agent/archive/frames.ts';
import { encodeName } from '../../agent/archive/index-file.ts';
import { readTar } from '../../agent/archive/tar-reader.ts';
import type { TarSink } from '../../agent/archive/tar-reader.ts';
import type { Target } from '../../agent/targets/target.ts';
import type { ArchiveIndex, IndexEntry } from './read-index.ts';

const decompress = promisify(zstdDecompress);

/** @throws AppError NOT_FOUND when the index has no such file; DAMAGED when the archive is not what the index says. */
export function readEntry(target: Target, key: string, index: ArchiveIndex, path: string, signal: AbortSignal): Readable {
  const entry = index.entries.find((candidate) => candidate.path === path);
  if (entry?.type !== 'file') throw new AppError('NOT_FOUND', `${key} holds no file ${path}`);
  return Readable.from(contentOf(target, key, index, entry, signal));
}

async function* contentOf(
  target: Target,
  key: string,
  index: ArchiveIndex,
  entry: IndexEntry,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let seen: string | undefined;
  let done = false;
  const sink: TarSink = {
    entry: (found) => void (seen ??= encodeName(found.path)),
    content: (bytes) => void (done || pieces.push(bytes)),
    endFile: () => void (done = true),
  };
  const tar = readTar(sink);
  let frame = Number(entry.at / BigInt(FRAME_BYTES));
  let skip = Number(entry.at % BigInt(FRAME_BYTES));
  while (!done) {
    const plain = await readFrame(target, key, index, frame++, signal);
    tar.push(plain.subarray(skip));
    skip = 0;
    if (seen !== undefined && seen !== entry.path)
      throw new AppError('DAMAGED', `${key} holds ${seen} where its index says ${entry.path}`);
    yield* pieces.splice(0);
  }
}

async function readFrame(target: Target, key: string, index: ArchiveIndex, frame: number, signal: AbortSignal): Promise<Buffer> {
  const start = index.frames[frame];
  if (start === undefined) throw new AppError('DAMAGED', `${key}: its index names a frame ${frame} that it does not have`);
  const end = BigInt(index.frames[frame + 1] ?? index.archiveBytes);
  if (BigInt(start) >= end) throw new AppError('DAMAGED', `${key}: its index names a frame ${frame} of no bytes`);
  const packed = await buffer(await target.get(key, signal, { start: BigInt(start), end }));
  try {
    // A frame holds no more: what does is not ours, and might not fit into memory.
    return await decompress(packed, { maxOutputLength: FRAME_BYTES });
  } catch (error) {
    throw new AppError('DAMAGED', `${key}: its frame ${frame} cannot be decompressed`, { cause: error });
  }
}
