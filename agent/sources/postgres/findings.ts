/** What is gathered for the plan of a restore. */
import { statfs } from 'node:fs/promises';
import { statOrMissing } from '../configuration/tree.ts';

/** The parts of a plan that several lookers add to. */
export interface Findings {
  readonly steps: string[];
  readonly overwrites: string[];
  readonly mustBeStopped: string[];
  readonly refusals: string[];
  readonly warnings: string[];
  /** Every file system that is written to, by device. */
  readonly space: Map<bigint, Space>;
}

export interface Space {
  /** A path on it, for messages. */
  readonly at: string;
  readonly freeBytes: bigint;
  neededBytes: bigint;
}

/** Adds to what is needed on the file system of the existing path `at`. */
export async function addNeed(found: Findings, at: string, bytes: bigint): Promise<void> {
  const device = (await statOrMissing(at))?.dev ?? 0n;
  const { bavail, bsize } = await statfs(at, { bigint: true });
  const space = found.space.get(device) ?? { at, freeBytes: bavail * bsize, neededBytes: 0n };
  space.neededBytes += bytes;
  found.space.set(device, space);
}
