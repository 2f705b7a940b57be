/** Gives out one file, or a part of it. content-length says how much must come: a reader that gets less knows that it broke off. */
import type { ServerHttp2Stream } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { AppError } from '#common/errors.ts';
import { HEADERS } from './protocol.ts';
import type { Storage } from './storage.ts';

export async function sendFile(
  key: string,
  range: string | undefined,
  stream: ServerHttp2Stream,
  storage: Storage,
): Promise<void> {
  const { file, size } = await storage.open(key);
  try {
    const { start, end } = parseRange(range, key, size);
    stream.respond({ ':status': 200, 'content-length': String(end - start), [HEADERS.size]: String(size) });
    if (end === start) return void stream.end();
    const bytes = file.createReadStream({
      start: Number(start),
      end: Number(end - 1n),
      highWaterMark: 256 * 1024,
      autoClose: false,
    });
    await pipeline(bytes, stream);
  } finally {
    await file.close();
  }
}

function parseRange(range: string | undefined, key: string, size: bigint): { start: bigint; end: bigint } {
  if (range === undefined) return { start: 0n, end: size };
  const match = /^(\d{1,19})-(\d{1,19})$/.exec(range);
  const [start, end] = [BigInt(match?.[1] ?? -1), BigInt(match?.[2] ?? -1)];
  if (match === null || start > end || end > size) {
    throw new AppError('INVALID', `read bytes ${range} of ${key}: it has ${size} bytes`);
  }
  return { start, end };
}
