/**
 * Makes the archive and the index of a point. A frame is a job: its pieces are read, many at once; it is compressed; and it is
 * handed over in its turn. It runs in the caller's thread, for there is the read function; compressing is done by libuv's threads.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { AppError, toAppError } from '#common/errors.ts';
import { FRAME_BYTES } from '../frames.ts';
import { createLocateFiles } from './locate-files.ts';
import type { PackPointOptions, PointEntry, PointInMaking, PointSummary, ReadContent } from './point.ts';
import { readAhead } from './read-ahead.ts';
import { startFrames } from './start-frames.ts';
import { writePointIndex } from './write-point.ts';

/**
 * Frames that are read, compressed or waiting for their turn. Each holds 4 MiB of tar and at most as much compressed: 64 MiB for all of
 * them, and 4 MiB more in the stream. So many have pieces for 64 lanes, of files of half a megabyte; of larger ones 8 are read at once,
 * and more of them was no faster.
 */
const FRAMES = 8;
const DOING = 'make the archive';

/**
 * `entries` in tree order, each read or kept or without content. Nothing begins before `stream` is read. When it was read to its
 * end, destroyed or aborted, no read is left. It fails with AppError: what `read` failed with, naming the file; FAILED when a file
 * gave other than its size; NO_SPACE; STOPPED; BUG for entries that are out of order or not what they say.
 */
export function packPoint(entries: AsyncIterable<PointEntry>, read: ReadContent, options: PackPointOptions): PointInMaking {
  const indexPath = join(options.workDirectory, 'archive.index.zst');
  const summary = Promise.withResolvers<PointSummary>();
  const index = Promise.withResolvers<string>();
  // Whoever reads the stream hears of a failure there; these two need not be awaited as well.
  summary.promise.catch(() => undefined);
  index.promise.catch(() => undefined);
  const control = new AbortController();
  let running: Promise<void> | undefined;
  let asked = () => {};

  const stream = new Readable({
    highWaterMark: FRAME_BYTES,
    read() {
      running ??= run();
      asked();
    },
    destroy(error, done) {
      options.signal.removeEventListener('abort', abort);
      const reason = error ?? new AppError('STOPPED', `${DOING}: stopped`);
      control.abort(reason);
      asked();
      summary.reject(reason);
      index.reject(reason);
      void (running ?? Promise.resolve()).then(() => done(error));
    },
  });
  const abort = () => stream.destroy(toAppError(options.signal.reason, DOING));
  if (options.signal.aborted) abort();
  options.signal.addEventListener('abort', abort, { once: true });

  /** Resolves when the reader has room for more, or never will. */
  async function handOver(bytes: Buffer): Promise<void> {
    const room = new Promise<void>((resolve) => (asked = resolve));
    if (!stream.push(bytes)) await room;
  }

  async function run(): Promise<void> {
    try {
      const made = await makePoint({ entries, read, options, indexPath, control, handOver });
      summary.resolve(made);
      index.resolve(indexPath);
      stream.push(null);
    } catch (error) {
      stream.destroy(toAppError(control.signal.aborted ? control.signal.reason : error, DOING));
    }
  }

  return { stream, summary: summary.promise, index: index.promise };
}

interface Making {
  readonly entries: AsyncIterable<PointEntry>;
  readonly read: ReadContent;
  readonly options: PackPointOptions;
  readonly indexPath: string;
  readonly control: AbortController;
  readonly handOver: (bytes: Buffer) => Promise<void>;
}

async function makePoint({ entries, read, options, indexPath, control, handOver }: Making): Promise<PointSummary> {
  const index = writePointIndex(indexPath);
  const frames = startFrames(read, options, control);
  const hash = createHash('sha256');
  const locate = createLocateFiles();
  let size = 0n;
  let readBytes = 0n;
  try {
    for await (const { plan, packed: packing } of readAhead(frames.all(entries), FRAMES, control.signal)) {
      const packed = await packing;
      // A stream that was destroyed meanwhile asks for nothing more: to hand over would be to wait for ever.
      control.signal.throwIfAborted();
      const locations = locate(plan, size, size + BigInt(packed.length));
      frames.recycle(plan);
      size += BigInt(packed.length);
      for (const { length } of plan.pieces) readBytes += BigInt(length);
      for (const { entry, file } of plan.entries) index.entry(entry, file && locations.get(file));
      if (packed.length === 0) {
        // Nothing here waits for anything then: heartbeats must get their turn.
        await setImmediate();
        continue;
      }
      hash.update(packed);
      await handOver(packed);
      options.onProgress?.(readBytes);
    }
    control.signal.throwIfAborted();
    return { ...index.end(), size, sha256: hash.digest('hex'), readBytes, warnings: [] };
  } catch (error) {
    control.abort(error);
    index.abandon();
    throw error;
  } finally {
    await frames.settled();
  }
}
