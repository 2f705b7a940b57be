/** The content of a file of several frames, in bounded memory: a frame and what it is made of. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '#common/errors.ts';
import { LARGEST_PACKED } from '../frames.ts';
import { readFrames } from '../zstd-frames.ts';
import type { FetchArchive } from './content-reader.ts';
import { archiveName } from './frame-cache.ts';
import type { IndexEntry } from './point.ts';
import { readFault } from './read-fault.ts';

type Content = NonNullable<IndexEntry['content']>;

/** Fails with AppError instead of ending: DAMAGED when it is not what the index says; what `fetch` fails with. */
export async function openLarge(
  fetch: FetchArchive,
  path: string,
  size: bigint,
  content: Content,
  signal: AbortSignal,
): Promise<Readable> {
  const { frame, end } = content.location;
  const packed = await fetch(content.in, frame, end, signal).catch((error: unknown) => {
    throw readFault(error, path);
  });
  const parts = contentOf(packed, path, size, content);
  const file = new Readable({
    read() {
      parts.next().then(
        (part) => file.push(part.done === true ? null : part.value),
        (error: unknown) => file.destroy(readFault(error, path)),
      );
    },
    destroy(error, done) {
      signal.removeEventListener('abort', abort);
      packed.destroy();
      done(error);
    },
  });
  // Also when nobody reads yet.
  packed.once('error', (error) => file.destroy(readFault(error, path)));
  const abort = () => file.destroy(readFault(signal.reason, path));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return file;
}

/** Out of the tar that the frames hold. All of them are read to their ends, and so their checksums compared. */
async function* contentOf(
  packed: Readable,
  path: string,
  size: bigint,
  { in: archive, location }: Content,
): AsyncGenerator<Buffer, void, undefined> {
  const damaged = (text: string) => new AppError('DAMAGED', `${path} is not as it was stored: ${archiveName(archive)} ${text}`);
  const hash = createHash('sha256');
  let skip = location.at;
  let left = size;
  for await (const frame of framesOf(packed, archive)) {
    const bytes = frame.subarray(skip);
    skip -= frame.length - bytes.length;
    const part = BigInt(bytes.length) > left ? bytes.subarray(0, Number(left)) : bytes;
    if (part.length === 0) continue;
    hash.update(part);
    left -= BigInt(part.length);
    // Compared before the last bytes are given: whoever counts them need not wait for the end.
    if (left === 0n && hash.digest('hex') !== location.sha256) throw damaged('holds other bytes than its index says');
    yield part;
  }
  if (left > 0n) throw damaged(`ends ${left} bytes before it`);
}

async function* framesOf(packed: Readable, archive: number): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* readFrames(packed, LARGEST_PACKED);
  } catch (error) {
    // A frame does not know whose it is. What the stream fails with is left as it is.
    if (!(error instanceof AppError) || error.code !== 'DAMAGED') throw error;
    throw new AppError('DAMAGED', `${archiveName(archive)} is damaged: ${error.message}`, { cause: error });
  }
}
