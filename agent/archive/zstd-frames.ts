/**
 * Reads concatenated zstd frames one by one. Node's own stream takes the end of a frame for the end of all when it falls within a chunk,
 * and drops the rest without an error (nodejs/node#64741); only frames whose size is a multiple of its chunks get by.
 */
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { AppError } from '#common/errors.ts';

const decompress = promisify(zstdDecompress);
const MAGIC = 0xfd2fb528;
/** Bytes of a dictionary's id, by the two lowest bits of the descriptor. */
const ID_BYTES = [0, 1, 2, 4] as const;
const RUN = 1;
const RESERVED = 3;
const ROOM = 256 * 1024;

/**
 * The content of each frame. `largest` bounds a frame, compressed and not. The stream is destroyed when it ends or is left.
 * @throws AppError DAMAGED for bytes that are no such frames, for a frame that is cut or larger, or has no checksum or a wrong one; and
 * what the stream fails with, as it is.
 */
export async function* readFrames(stream: AsyncIterable<unknown>, largest: number): AsyncGenerator<Buffer, void, undefined> {
  let held = Buffer.allocUnsafeSlow(Math.min(ROOM, largest));
  let used = 0;
  for await (const chunk of stream) {
    for (let taken = 0; taken < (chunk as Buffer).length;) {
      if (used === held.length) held = larger(held, largest);
      const part = (chunk as Buffer).copy(held, used, taken);
      taken += part;
      used += part;
      let begin = 0;
      for (let end = frameEnd(held, 0, used); end !== undefined; end = frameEnd(held, begin, used)) {
        yield await readFrame(held.subarray(begin, end), largest);
        begin = end;
      }
      held.copyWithin(0, begin, used);
      used -= begin;
    }
  }
  if (used > 0) throw damaged('a frame is cut');
}

/** The content of one frame, which must be all of `bytes`. @throws AppError DAMAGED, as readFrames */
export async function readFrame(bytes: Buffer, largest: number): Promise<Buffer> {
  if (frameEnd(bytes, 0, bytes.length) !== bytes.length) throw damaged('a frame is cut, or something follows it');
  try {
    return await decompress(bytes, { maxOutputLength: largest });
  } catch (error) {
    throw damaged('a frame cannot be decompressed', error);
  }
}

function larger(held: Buffer<ArrayBuffer>, largest: number): Buffer<ArrayBuffer> {
  if (held.length >= largest) throw damaged('a frame is larger than any');
  const more = Buffer.allocUnsafeSlow(Math.min(2 * held.length, largest));
  held.copy(more);
  return more;
}

/** Where the frame that begins at `begin` ends (RFC 8878, 3.1.1); undefined: not within `used`. */
function frameEnd(bytes: Buffer, begin: number, used: number): number | undefined {
  if (used - begin < 5) return undefined;
  const descriptor = bytes.readUInt8(begin + 4);
  if (bytes.readUInt32LE(begin) !== MAGIC) throw damaged('something is no zstd frame');
  if ((descriptor & 0b100) === 0) throw damaged('a frame has no checksum');
  const single = (descriptor & 0b10_0000) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? Number(single) : 1 << sizeFlag;
  let at = begin + 5 + (single ? 0 : 1) + (ID_BYTES[descriptor & 0b11] ?? 0) + sizeBytes;
  for (let last = false; !last;) {
    if (at + 3 > used) return undefined;
    const header = bytes.readUIntLE(at, 3);
    const type = (header >> 1) & 0b11;
    if (type === RESERVED) throw damaged('a frame has a block of no known type');
    at += 3 + (type === RUN ? 1 : header >> 3);
    last = (header & 1) === 1;
  }
  const end = at + 4;
  return end <= used ? end : undefined;
}

function damaged(what: string, cause?: unknown): AppError {
  return new AppError('DAMAGED', what, { cause });
}
