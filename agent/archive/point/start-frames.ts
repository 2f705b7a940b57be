/** Frames on their way: each is read and then compressed, beside the others. */
import pLimit from 'p-limit';
import { FRAMES_IN_FLIGHT, FRAME_BYTES, compressFrame } from '../frames.ts';
import { createLanes } from './lanes.ts';
import { createPace } from './pace.ts';
import { planFrames } from './plan-frames.ts';
import { readPiece } from './read-piece.ts';
import type { FramePlan } from './plan-frames.ts';
import type { PackPointOptions, PointEntry, ReadContent } from './point.ts';

export interface StartedFrame {
  /** Its tar is whole when `packed` has resolved. */
  readonly plan: FramePlan;
  /** Compressed; no bytes when it has none of tar. Its failure is met when its turn comes. */
  readonly packed: Promise<Buffer>;
}

export interface Frames {
  /** Asking for the next one starts it. */
  all(entries: AsyncIterable<PointEntry>): AsyncGenerator<StartedFrame, void, undefined>;
  /** Its buffer is used again. */
  recycle(plan: FramePlan): void;
  /** Resolves when nothing that was started goes on. */
  settled(): Promise<void>;
}

/** `control` is aborted by the first read that fails, with an error that names the file. */
export function startFrames(read: ReadContent, options: PackPointOptions, control: AbortController): Frames {
  const { signal } = control;
  const pace = createPace(options.bytesPerSecond);
  const lanes = createLanes(options.lanes, async (piece, { tar }) => {
    // Whoever stopped it says why; what was only waiting for its lane has nothing to add.
    if (signal.aborted) return;
    await readPiece(piece, tar, read, pace, signal).catch((error: unknown) => control.abort(error));
  });
  // The threads of libuv serve files and names of hosts as well.
  const compressing = pLimit(FRAMES_IN_FLIGHT);
  const free: Buffer[] = [];
  const working = new Set<Promise<Buffer>>();

  async function pack(plan: FramePlan): Promise<Buffer> {
    if (plan.length === 0) return plan.tar;
    await lanes.read(plan);
    signal.throwIfAborted();
    return compressing(() => compressFrame(plan.tar.subarray(0, plan.length), options.level));
  }

  function start(plan: FramePlan): StartedFrame {
    const packed = pack(plan);
    working.add(packed);
    const done = () => working.delete(packed);
    packed.then(done, done);
    return { plan, packed };
  }

  return {
    async *all(entries) {
      for await (const plan of planFrames(entries, () => free.pop() ?? Buffer.allocUnsafeSlow(FRAME_BYTES))) yield start(plan);
    },
    recycle: ({ length, tar }) => void (length > 0 && free.push(tar)),
    async settled() {
      await Promise.allSettled(working);
    },
  };
}
