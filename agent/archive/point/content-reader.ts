/**
 * Reads the content of files out of archives. A file that fits into a frame lies in one, with its neighbours: such a frame is fetched
 * and decompressed once for all who ask for one of them at about the same time. A larger one has frames of its own, and is streamed.
 */
import { hash as digestOf } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '#common/errors.ts';
import { unlessAborted } from '../../session/unless-aborted.ts';
import { FRAME_BYTES } from '../frames.ts';
import { archiveName, createFrameCache } from './frame-cache.ts';
import type { IndexEntry } from './point.ts';
import { openLarge } from './open-large.ts';

/** Bytes [start, end) of an archive: 0 is that of the backup file itself, k the k-th of its references. Call and stream obey the signal. */
export type FetchArchive = (archive: number, start: bigint, end: bigint, signal: AbortSignal) => Promise<Readable>;

export interface ContentReaderOptions {
  /** Decompressed frames that are kept, 4 MiB each: 8 when not said. Every open stream may hold one more. */
  readonly frames?: number;
  /** Ends the fetching of frames, which is for all who want them; to be aborted when nobody reads any more. */
  readonly signal: AbortSignal;
}

export interface ContentReader {
  /**
   * The content of a file, whose end means that it has the size and the SHA-256 of the index. `signal` ends this stream.
   * @throws AppError DAMAGED naming the file, from here or from the stream; what `fetch` fails with; INVALID for what is no file.
   */
  readonly open: (entry: IndexEntry, signal: AbortSignal) => Promise<Readable>;
}

export function createContentReader(fetch: FetchArchive, { frames = 8, signal: all }: ContentReaderOptions): ContentReader {
  const cache = createFrameCache(fetch, frames, all);

  async function openSmall(path: string, size: number, content: Content, signal: AbortSignal): Promise<Readable> {
    const { at, sha256 } = content.location;
    const frame = await unlessAborted(cache.get(path, content.in, content.location), signal);
    const bytes = frame.subarray(at, at + size);
    if (bytes.length < size || digestOf('sha256', bytes, 'hex') !== sha256) {
      throw new AppError(
        'DAMAGED',
        `${path} is not as it was stored: ${archiveName(content.in)} holds other bytes than its index says`,
      );
    }
    return Readable.from([bytes], { objectMode: false });
  }

  return {
    async open({ path, type, size, content }, signal) {
      signal.throwIfAborted();
      if (type !== 'file') throw new AppError('INVALID', `read ${path}: it is a ${type}`);
      if (content === undefined) return Readable.from([], { objectMode: false });
      const within = BigInt(content.location.at) + size <= BigInt(FRAME_BYTES);
      return within ? openSmall(path, Number(size), content, signal) : openLarge(fetch, path, size, content, signal);
    },
  };
}

type Content = NonNullable<IndexEntry['content']>;
