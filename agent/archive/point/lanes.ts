/** So many reads at once, over all frames: a frame of a thousand small files keeps the lanes as busy as a thousand frames of one. */
import type { FramePlan, Piece } from './plan-frames.ts';

export interface Lanes {
  /** Resolves when all pieces of the frame were read. Frames that came first go first. */
  read(frame: FramePlan): Promise<void>;
}

/** `readPiece` must not fail. A list and not a promise for each piece: tens of thousands wait at a time. */
export function createLanes(count: number, readPiece: (piece: Piece, frame: FramePlan) => Promise<void>): Lanes {
  const waiting: { frame: FramePlan; next: number; left: number; done: () => void }[] = [];
  let busy = 0;

  async function lane(): Promise<void> {
    for (let [job] = waiting; job !== undefined; [job] = waiting) {
      const piece = job.frame.pieces[job.next++];
      if (job.next >= job.frame.pieces.length) waiting.shift();
      if (piece === undefined) continue;
      await readPiece(piece, job.frame);
      if (--job.left === 0) job.done();
    }
    busy--;
  }

  return {
    async read(frame) {
      const left = frame.pieces.length;
      if (left === 0) return;
      const { promise, resolve: done } = Promise.withResolvers<void>();
      waiting.push({ frame, next: 0, left, done });
      for (let more = Math.min(count - busy, left); more > 0; more--) {
        busy++;
        void lane();
      }
      await promise;
    },
  };
}
