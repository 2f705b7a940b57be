/** The decompressed frames that were asked for last. Each is fetched once, for all who ask for it meanwhile. */
import { AppError } from '#common/errors.ts';
import { FRAME_BYTES, LARGEST_PACKED } from '../frames.ts';
import { readFrame } from '../zstd-frames.ts';
import type { FetchArchive } from './content-reader.ts';
import type { Location } from './point.ts';
import { readFault } from './read-fault.ts';

export interface FrameCache {
  /** @throws AppError DAMAGED naming the file that it is read for; what the fetching fails with. */
  get(path: string, archive: number, location: Location): Promise<Buffer>;
}

export function createFrameCache(fetch: FetchArchive, limit: number, signal: AbortSignal): FrameCache {
  /** The one used last is the last. */
  const frames = new Map<string, Promise<Buffer>>();

  return {
    async get(path, archive, { frame, end }) {
      const key = `${archive}:${frame}-${end}`;
      const known = frames.get(key);
      const loading = known ?? load(fetch, archive, frame, end, signal);
      frames.delete(key);
      frames.set(key, loading);
      const [oldest] = frames.keys();
      if (frames.size > limit && oldest !== undefined) frames.delete(oldest);
      try {
        return await loading;
      } catch (error) {
        const fault = readFault(error, path);
        // Damage stays, and is not fetched again for each of its files; all else may be better the next time.
        if (fault.code !== 'DAMAGED' && frames.get(key) === loading) frames.delete(key);
        throw fault;
      }
    },
  };
}

async function load(fetch: FetchArchive, archive: number, start: bigint, end: bigint, signal: AbortSignal): Promise<Buffer> {
  const name = `the frame at ${start} of ${archiveName(archive)}`;
  if (end - start > BigInt(LARGEST_PACKED)) throw new AppError('DAMAGED', `${name} is larger than any`);
  const packed = await collect(await fetch(archive, start, end, signal), Number(end - start), name);
  try {
    // A frame holds no more: what does is not ours, and might not fit into memory.
    return await readFrame(packed, FRAME_BYTES);
  } catch (error) {
    throw new AppError('DAMAGED', `${name} cannot be decompressed`, { cause: error });
  }
}

async function collect(stream: AsyncIterable<unknown>, length: number, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    got += (chunk as Buffer).length;
    if (got > length) break;
  }
  if (got !== length) throw new AppError('FAILED', `${name} was to be ${length} bytes, and ${got} came`);
  return Buffer.concat(chunks);
}

/** As people know it. */
export function archiveName(archive: number): string {
  return archive === 0 ? 'the archive' : `the archive of reference ${archive}`;
}
