/** Unpacks an archive below an empty directory, and answers only when size and SHA-256 are those of the manifest. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { AppError, fromFault, toAppError } from '#common/errors.ts';
import type { UnpackOptions } from './archive.ts';
import { writeExactTimes } from './exact-times.ts';
import type { WrittenTree } from './tree-writer.ts';
import { endOf } from './end-thread.ts';
import type { UnpackMessage, UnpackRequest } from './unpack-worker.ts';
import { writeXattrs } from './xattrs.ts';

/** Chunks handed to the thread and not yet taken. */
const HANDED_OVER = 16;

/** @throws AppError DAMAGED naming what is wrong; nothing in `into` may be used then. */
export async function unpackArchive(stream: Readable, options: UnpackOptions): Promise<WrittenTree> {
  const { into, expected, onProgress, signal } = options;
  const hash = createHash('sha256');
  let size = 0n;
  const thread = startThread(into);
  const abort = () => {
    const reason = toAppError(signal.reason, 'unpack the archive');
    stream.destroy(reason);
    // What the thread was handed may be little, and unpack to very much.
    thread.giveUp(reason);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of stream) {
      const bytes = chunk as Buffer;
      hash.update(bytes);
      size += BigInt(bytes.length);
      if (size > expected.size) break;
      await thread.write(bytes);
      onProgress?.(size);
    }
    // Before the end is told: what differs must not be taken for whole, whatever it unpacks to.
    const sha256 = hash.digest('hex');
    if (size !== expected.size || sha256 !== expected.sha256) {
      throw new AppError(
        'DAMAGED',
        `the archive is not what was stored: ${size} bytes with SHA-256 ${sha256}, and ${expected.size} with ${expected.sha256} were`,
      );
    }
    const tree = await thread.end();
    await writeXattrs(tree.xattrs, signal);
    await writeExactTimes(tree.exactTimes, signal);
    return tree;
  } catch (error) {
    throw toAppError(error, 'unpack the archive');
  } finally {
    signal.removeEventListener('abort', abort);
    stream.destroy();
    await thread.stop();
  }
}

function startThread(into: string) {
  const worker = new Worker(new URL('./unpack-worker.ts', import.meta.url), { workerData: { into } });
  const end = endOf(worker);
  const ended = Promise.withResolvers<WrittenTree>();
  // It is awaited at the latest at the end; a failure before that is met by the next write.
  ended.promise.catch(() => undefined);
  let credits = HANDED_OVER;
  let wake: (() => void) | undefined;
  worker.on('message', (message: UnpackMessage) => {
    switch (message.kind) {
      case 'more':
        credits++;
        wake?.();
        break;
      case 'end':
        ended.resolve(message.tree);
        break;
      case 'failed':
        ended.reject(fromFault(message.fault));
        break;
    }
  });
  worker.on('error', (error) => ended.reject(error));
  worker.on('exit', () => ended.reject(new AppError('FAILED', 'unpack the archive: its thread ended')));
  const send = (request: UnpackRequest) => worker.postMessage(request);

  return {
    async write(bytes: Buffer): Promise<void> {
      while (credits === 0) await Promise.race([new Promise<void>((resolve) => (wake = resolve)), ended.promise]);
      credits--;
      send({ kind: 'chunk', bytes });
    },
    end(): Promise<WrittenTree> {
      send({ kind: 'end' });
      return ended.promise;
    },
    /** Whoever waits for the thread waits no longer. */
    giveUp: (reason: AppError) => ended.reject(reason),
    async stop(): Promise<void> {
      await end();
    },
  };
}
