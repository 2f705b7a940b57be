/** The unpacking thread: decompresses, reads the tar strictly and writes the files. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { createZstdDecompress } from 'node:zlib';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import type { FaultShape } from '#common/errors.ts';
import { STOP } from './end-thread.ts';
import { readTar } from './tar-reader.ts';
import { writeTree } from './tree-writer.ts';
import type { WrittenTree } from './tree-writer.ts';

export type UnpackRequest = { readonly kind: 'chunk'; readonly bytes: Uint8Array } | { readonly kind: 'end' };
export type UnpackMessage =
  | { readonly kind: 'more' }
  | { readonly kind: 'end'; readonly tree: WrittenTree }
  | { readonly kind: 'failed'; readonly fault: FaultShape };

const port = parentPort;
if (port === null) throw new Error('unpack-worker runs as a worker thread only');
const send = (message: UnpackMessage) => port.postMessage(message);

const { into } = workerData as { into: string };
const tree = writeTree(into);
const tar = readTar(tree);
const plain = createZstdDecompress();

const fail = (caught: unknown) => {
  const error = caught instanceof AppError ? caught : damagedBy(caught);
  send({ kind: 'failed', fault: toFault(error) });
  port.close();
  plain.destroy();
};
plain.on('error', fail);
plain.on('data', (chunk: Buffer) => {
  try {
    tar.push(chunk);
  } catch (error) {
    fail(error);
  }
});
plain.on('end', () => {
  try {
    tar.end();
    send({ kind: 'end', tree: tree.end() });
    port.close();
  } catch (error) {
    fail(error);
  }
});

/** One after another: the next chunk waits until the one before was taken. */
let taken = Promise.resolve();
port.on('message', (request: UnpackRequest | typeof STOP) => {
  if (request === STOP) process.exit();
  // What fails is told by the stream's own 'error'.
  taken = taken.then(() => take(request)).catch(() => undefined);
});

async function take(request: UnpackRequest): Promise<void> {
  if (plain.destroyed) return;
  if (request.kind === 'end') return void plain.end();
  if (!plain.write(request.bytes)) await once(plain, 'drain');
  send({ kind: 'more' });
}

/** What zstd says of bytes that are none of its own has no code of ours; what the file system says has. */
function damagedBy(caught: unknown): AppError {
  const code = caught instanceof Error && 'code' in caught ? String(caught.code) : '';
  if (!code.startsWith('ZSTD_') && !code.startsWith('Z_')) return toAppError(caught, 'unpack the archive');
  return new AppError('DAMAGED', `the archive cannot be decompressed: ${caught instanceof Error ? caught.message : code}`);
}
