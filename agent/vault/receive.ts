/** Takes in one file: written as it comes, hashed, held to the limits, and visible only when the sender's size and SHA-256 agree. */
import { createHash } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { Writable } from 'node:stream';
import { callbackify } from 'node:util';
import { finished } from 'node:stream/promises';
import { AppError, toAppError } from '#common/errors.ts';
import type { Stored } from '../targets/target.ts';
import { HEADERS } from './protocol.ts';
import type { SpaceKeeper } from './space.ts';
import type { Changes, FileInMaking, Storage } from './storage.ts';

/** Bytes gathered while a write is under way, so that a 16 KiB frame does not cost a system call each. */
const GATHERED = 4 * 1024 * 1024;
/**
 * Flushed to the disk in the background each time this much has come, so that the disk works while the line does and not after it: on two
 * busy cores 2 GiB went at 399 MB/s with it and at 298 without, medians of six interleaved rounds.
 */
const FLUSH_EVERY = 64n * 1024n * 1024n;

export type Trailers = Promise<Record<string, unknown> | undefined>;

export interface Receiving {
  /** Whose vault it is: a run writes to two. */
  readonly node: string;
  readonly storage: Storage;
  readonly space: SpaceKeeper;
  readonly changes: Changes;
  /** @throws AppError FENCED. A newer attempt may have come while the bytes did. */
  readonly requireNewest: () => void;
}

export async function receiveFile(
  key: string,
  stream: ServerHttp2Stream,
  trailers: Trailers,
  { node, storage, space, changes, requireNewest }: Receiving,
): Promise<Stored> {
  const doing = `store ${key} in the vault of node ${node}`;
  await space.requireRoom(doing);
  const making = await storage.begin(key).catch((error: unknown) => explain(error, space, doing));
  const written = { bytes: 0n, hash: createHash('sha256') };
  try {
    await pour(stream, writeTo(making, written, space, doing), doing);
    const stored: Stored = { key, size: written.bytes, sha256: written.hash.digest('hex') };
    requireAsSent(stored, await trailers, doing);
    await making.seal();
    await changes(async () => {
      requireNewest();
      space.published(stored.size, await making.publish());
    });
    return stored;
  } catch (error) {
    space.drop(written.bytes);
    await making.discard();
    return explain(error, space, doing);
  }
}

/** What the file system says of a full disk names neither the partition nor what is left of it. */
async function explain(error: unknown, space: SpaceKeeper, doing: string, unwritten?: number): Promise<never> {
  const failure = toAppError(error, doing);
  if (error instanceof AppError || failure.code !== 'NO_SPACE') throw failure;
  throw await space.full(doing, unwritten);
}

function writeTo(
  making: FileInMaking,
  written: { bytes: bigint; hash: ReturnType<typeof createHash> },
  space: SpaceKeeper,
  doing: string,
): Writable {
  const flush = backgroundFlush(making);
  const write = async (chunks: Buffer[]) => {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    written.bytes += BigInt(bytes);
    await space.take(bytes, doing);
    const writing = making.file.writev(chunks);
    // Hashing overlaps with the write, which another thread does.
    for (const chunk of chunks) written.hash.update(chunk);
    const { bytesWritten } = await writing.catch((error: unknown) => explain(error, space, doing, bytes));
    // Only a full partition takes less than all.
    if (bytesWritten !== bytes) throw await space.full(doing, bytes - bytesWritten);
    flush.written(written.bytes);
  };
  return new Writable({
    highWaterMark: GATHERED,
    write: (chunk: Buffer, _encoding, done) => callWhenSettled(write([chunk]), done),
    writev: (chunks, done) => callWhenSettled(write(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => callWhenSettled(flush.ended(), done),
    // The file is closed after this: not under a flush.
    destroy: (error, done) => callWhenSettled(flush.ended(), (failure) => done(error ?? failure)),
  });
}

/** One at a time. What fails is told at the end: a disk that cannot be flushed must not count as durable. */
function backgroundFlush({ file }: FileInMaking): { written(total: bigint): void; ended(): Promise<void> } {
  let flushedAt = 0n;
  let flushing: Promise<void> | undefined;
  let failure: unknown;
  return {
    written(total) {
      if (flushing !== undefined || total - flushedAt < FLUSH_EVERY) return;
      flushedAt = total;
      flushing = file
        .datasync()
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => (flushing = undefined));
    },
    async ended() {
      await flushing;
      if (failure !== undefined) throw failure;
    },
  };
}

const callWhenSettled = callbackify((work: Promise<void>) => work);

/** Not `pipeline`, which would destroy the stream on a full disk, and with it the way to say so. */
async function pour(stream: ServerHttp2Stream, into: Writable, doing: string): Promise<void> {
  const gone = new AppError('DAMAGED', `${doing}: the sender went away`, brokenOff);
  // Its 'close' may have come before anybody listened.
  if (stream.destroyed) throw gone;
  stream.once('close', () => {
    if (!stream.readableEnded) into.destroy(gone);
  });
  stream.pipe(into);
  await finished(into);
}

/**
 * To be called as soon as the stream is there: the trailers of a small file come before anybody reads. Resolves with nothing when
 * the stream ends without: an end alone proves nothing.
 */
export function trailersOf(stream: ServerHttp2Stream): Trailers {
  return new Promise((resolve) => {
    stream.once('trailers', (trailers) => resolve(trailers));
    stream.once('close', () => resolve(undefined));
    stream.once('end', () => {
      // Trailers come with the end or not at all; the peer still waits for our answer, so the stream stays open.
      setImmediate(() => resolve(undefined));
    });
  });
}

function requireAsSent(stored: Stored, trailers: Record<string, unknown> | undefined, doing: string): void {
  if (trailers === undefined) throw new AppError('DAMAGED', `${doing}: it broke off after ${stored.size} bytes`, brokenOff);
  if (trailers[HEADERS.size] !== String(stored.size) || trailers[HEADERS.sha256] !== stored.sha256) {
    throw new AppError(
      'DAMAGED',
      `${doing}: ${stored.size} bytes arrived, ${String(trailers[HEADERS.size])} were sent, or their SHA-256 differs`,
      brokenOff,
    );
  }
}

const brokenOff = { hint: 'Nothing was kept of it. Check the line between the nodes and run the task again.' };
