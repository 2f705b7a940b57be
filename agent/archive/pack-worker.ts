/** The packing thread: reads, compresses and hashes, so that the agent's own thread is free for its heartbeats. */
import { createHash } from 'node:crypto';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { toAppError, toFault } from '#common/errors.ts';
import type { FaultShape } from '#common/errors.ts';
import type { ArchiveRoot } from './archive.ts';
import { STOP } from './end-thread.ts';
import { FRAMES_IN_FLIGHT, compressFrame } from './frames.ts';
import { writeIndex } from './index-file.ts';
import { tarBlocks } from './tar-blocks.ts';
import { walk } from './walk.ts';
import type { Walked } from './walk.ts';
import type { XattrsOf } from './xattrs.ts';

export interface PackWork {
  readonly roots: readonly ArchiveRoot[];
  readonly xattrs: XattrsOf;
  readonly level: number;
  readonly indexPath: string;
}

export type PackMessage =
  | { readonly kind: 'frame'; readonly bytes: Uint8Array; readonly contentBytes: bigint }
  | {
      readonly kind: 'end';
      readonly size: bigint;
      readonly sha256: string;
      readonly entries: number;
      readonly contentBytes: bigint;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'failed'; readonly fault: FaultShape };

/** Frames handed over and not yet taken by the reader: with those in flight, the bound of this thread's memory. */
const HANDED_OVER = 2;

const port = parentPort;
if (port === null) throw new Error('pack-worker runs as a worker thread only');
const send = (message: PackMessage, transfer: readonly ArrayBuffer[] = []) => port.postMessage(message, transfer);

let credits = HANDED_OVER;
let onCredit: (() => void) | undefined;
const hear = (message: unknown) => {
  if (message === STOP) process.exit();
  credits++;
  onCredit?.();
};
port.on('message', hear);

/** What is said while files are read, which keeps everything else waiting: the frames in flight may hold thousands of them. */
const listen = () => {
  for (let said = receiveMessageOnPort(port); said !== undefined; said = receiveMessageOnPort(port)) hear(said.message);
};

async function pack(work: PackWork): Promise<void> {
  const index = writeIndex(work.indexPath);
  const hash = createHash('sha256');
  const warnings: string[] = [];
  let entries = 0;
  let tarBytes = 0n;
  let size = 0n;

  const tar = tarBlocks(walkAll(work, warnings), {
    exactTimes: work.roots.some(({ xattrs }) => xattrs === true),
    onEntry({ entry }, at) {
      entries++;
      index.entry(entry, at);
    },
  });

  async function handOver(compressing: Promise<Buffer>): Promise<void> {
    const frame = await compressing;
    hash.update(frame);
    index.frame(Number(size));
    size += BigInt(frame.length);
    while (credits === 0) await new Promise<void>((resolve) => (onCredit = resolve));
    credits--;
    // zlib's buffers may be slices of larger ones, which cannot be given away.
    const bytes = frame.buffer.byteLength === frame.length ? frame : new Uint8Array(frame);
    send({ kind: 'frame', bytes, contentBytes: tar.contentBytes() }, [bytes.buffer as ArrayBuffer]);
  }

  const flying: Promise<Buffer>[] = [];
  for (const block of tar.blocks()) {
    listen();
    tarBytes += BigInt(block.length);
    const compressing = compressFrame(block, work.level).finally(() => tar.recycle(block));
    // Its failure is met when its turn comes.
    compressing.catch(() => undefined);
    flying.push(compressing);
    if (flying.length >= FRAMES_IN_FLIGHT) await handOver(flying.shift()!);
  }
  for (const compressing of flying) await handOver(compressing);
  index.end({ tarBytes, archiveBytes: size });
  send({ kind: 'end', size, sha256: hash.digest('hex'), entries, contentBytes: tar.contentBytes(), warnings });
}

function* walkAll({ roots, xattrs }: PackWork, warnings: string[]): Generator<Walked> {
  const linked = new Map<string, Buffer>();
  for (const root of roots) {
    const walking = walk(root, root.xattrs === true ? xattrs : new Map(), linked, (path) =>
      warnings.push(`${path} is left out: it is a socket, a device or a FIFO`),
    );
    for (const walked of walking) {
      listen();
      yield walked;
    }
  }
}

try {
  await pack(workerData as PackWork);
} catch (error) {
  send({ kind: 'failed', fault: toFault(toAppError(error, 'pack the archive')) });
} finally {
  port.close();
}
