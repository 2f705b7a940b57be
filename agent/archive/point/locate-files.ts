/** Where files come to lie, and their digests: both are known when the frame of their last byte is, and frames come in order. */
import { createHash, hash as digestOf } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { AppError } from '#common/errors.ts';
import type { FramePlan, PlannedFile } from './plan-frames.ts';
import type { Location } from './point.ts';

/** The files whose last byte is in this frame, which takes [start, end) of the archive. Called once for each frame, in order. */
export type LocateFiles = (plan: FramePlan, start: bigint, end: bigint) => ReadonlyMap<PlannedFile, Location>;

export function createLocateFiles(): LocateFiles {
  /** Of a file that goes on in the next frame: one at most. */
  let open: { readonly hash: Hash; readonly frame: bigint } | undefined;

  return ({ pieces, tar }, start, end) => {
    const located = new Map<PlannedFile, Location>();
    for (const { file, at, length, first, last } of pieces) {
      const content = tar.subarray(at, at + length);
      if (first && last) {
        located.set(file, { frame: start, end, at: file.at, sha256: digestOf('sha256', content, 'hex') });
        continue;
      }
      if (first) open = { hash: createHash('sha256'), frame: start };
      if (open === undefined) throw new AppError('BUG', `locate ${file.entry.path}: it goes on, and never began`);
      open.hash.update(content);
      if (last) located.set(file, { frame: open.frame, end, at: file.at, sha256: open.hash.digest('hex') });
    }
    return located;
  };
}
