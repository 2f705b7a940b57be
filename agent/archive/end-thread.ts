/**
 * Ends a thread that compresses or decompresses. It ends itself, between two steps of its own: `terminate()` cuts it anywhere, and when
 * that is within the making of a zstd stream Node aborts the whole process ("close before init"), the agent with all that it does.
 */
import type { Worker } from 'node:worker_threads';

/** The word that such a thread answers with `process.exit()`. */
export const STOP = 'stop';

/** To be asked for when the thread is started: its exit may come before anybody wants it. */
export function endOf(worker: Worker): () => Promise<void> {
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  return () => {
    worker.postMessage(STOP);
    return exited;
  };
}
