/** Packs roots into an archive: an ordinary tar in concatenated zstd frames, and its index. The work is done by a thread of its own. */
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { AppError, fromFault, toAppError } from '#common/errors.ts';
import type { ArchiveInMaking, ArchiveRoot, ArchiveSummary, PackOptions } from './archive.ts';
import { endOf } from './end-thread.ts';
import type { PackMessage, PackWork } from './pack-worker.ts';
import type { Xattr } from './tar-header.ts';
import { readXattrs } from './xattrs.ts';
import type { XattrsOf } from './xattrs.ts';

/** Bytes ready for the reader beyond which the packing thread is not asked for more. */
const READY = 4 * 1024 * 1024;

/** The thread ends with the stream: read to its end, destroyed, or aborted. */
export function packArchive(roots: readonly ArchiveRoot[], options: PackOptions): ArchiveInMaking {
  const indexPath = join(options.workDirectory, 'archive.index.zst');
  const summary = Promise.withResolvers<ArchiveSummary>();
  const index = Promise.withResolvers<string>();
  // Whoever reads the stream hears of a failure there; these two need not be awaited as well.
  summary.promise.catch(() => undefined);
  index.promise.catch(() => undefined);
  let worker: Worker | undefined;
  let endThread = () => Promise.resolve();
  let owed = 0;

  const stream = new Readable({
    highWaterMark: READY,
    construct(done) {
      collectXattrs(roots, options.signal)
        .then((xattrs) => {
          worker = startWorker({ roots, xattrs, level: options.level, indexPath });
          return undefined;
        })
        .then(() => done(), done);
    },
    read() {
      for (; owed > 0; owed--) worker?.postMessage('more');
    },
    destroy(error, done) {
      options.signal.removeEventListener('abort', abort);
      const reason = error ?? new AppError('STOPPED', 'pack the archive: stopped');
      summary.reject(reason);
      index.reject(reason);
      void endThread().then(() => done(error));
    },
  });
  const abort = () => stream.destroy(toAppError(options.signal.reason, 'pack the archive'));
  if (options.signal.aborted) abort();
  options.signal.addEventListener('abort', abort, { once: true });

  function startWorker(work: PackWork): Worker {
    const started = new Worker(new URL('./pack-worker.ts', import.meta.url), { workerData: work });
    endThread = endOf(started);
    let ended = false;
    started.on('message', (message: PackMessage) => {
      switch (message.kind) {
        case 'frame':
          options.onProgress?.(message.contentBytes);
          // The reader is full: the thread is asked for more when it has taken some.
          if (stream.push(message.bytes)) started.postMessage('more');
          else owed++;
          break;
        case 'end': {
          ended = true;
          const { kind: _kind, ...result } = message;
          summary.resolve(result);
          index.resolve(indexPath);
          stream.push(null);
          break;
        }
        case 'failed':
          ended = true;
          stream.destroy(fromFault(message.fault));
          break;
      }
    });
    started.on('error', (error) => stream.destroy(toAppError(error, 'pack the archive')));
    started.on('exit', (code) => {
      if (!ended) stream.destroy(new AppError('FAILED', `pack the archive: its thread ended with ${code}`));
    });
    return started;
  }

  return { stream, summary: summary.promise, index: index.promise };
}

async function collectXattrs(roots: readonly ArchiveRoot[], signal: AbortSignal): Promise<XattrsOf> {
  const all = new Map<string, readonly Xattr[]>();
  for (const root of roots) {
    if (root.xattrs !== true) continue;
    for (const [path, attributes] of await readXattrs(root.from, signal)) all.set(path, attributes);
  }
  return all;
}
