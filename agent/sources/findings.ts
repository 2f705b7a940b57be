/** What is gathered for the plan of a restore, and the space that it needs: of each file system what will be written to that one. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatSize } from '#common/bytes.ts';
import { statOrMissing } from './configuration/tree.ts';
import type { RestorePlan } from './source.ts';

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

interface Space {
  /** A path on it, for messages. */
  readonly at: string;
  readonly freeBytes: bigint;
  neededBytes: bigint;
}

export function noFindings(): Findings {
  return { steps: [], overwrites: [], mustBeStopped: [], refusals: [], warnings: [], space: new Map() };
}

/** Adds to what is needed on the file system where `path` lies, or would lie. */
export async function addNeed(found: Findings, path: string, bytes: bigint): Promise<void> {
  const at = await nearestExisting(path);
  const device = await deviceOf(at);
  const { bavail, bsize } = await statfs(at, { bigint: true });
  const space = found.space.get(device) ?? { at, freeBytes: bavail * bsize, neededBytes: 0n };
  space.neededBytes += bytes;
  found.space.set(device, space);
}

/** Of each file system among them once: how the bytes spread over several is not known, so each must hold all. */
export async function addNeedOfEach(found: Findings, paths: readonly string[], bytes: bigint): Promise<void> {
  const devices = new Set<bigint>();
  for (const path of paths) {
    const device = await deviceOf(await nearestExisting(path));
    if (devices.has(device)) continue;
    devices.add(device);
    await addNeed(found, path, bytes);
  }
}

/** With the figures of the file system that is tightest; each that is too small is a refusal. */
export function planOf(found: Findings): RestorePlan {
  const { steps, overwrites, mustBeStopped, warnings } = found;
  const spaces = [...found.space.values()].toSorted((a, b) =>
    a.freeBytes - a.neededBytes < b.freeBytes - b.neededBytes ? -1 : 1,
  );
  const tooSmall = spaces
    .filter(({ neededBytes, freeBytes }) => neededBytes > freeBytes)
    .map(
      ({ at, neededBytes, freeBytes }) =>
        `${formatSize(neededBytes)} are needed where ${at} lies, and ${formatSize(freeBytes)} are free`,
    );
  return {
    steps,
    overwrites,
    mustBeStopped,
    refusals: [...found.refusals, ...tooSmall],
    warnings,
    neededBytes: spaces[0]?.neededBytes ?? 0n,
    freeBytes: spaces[0]?.freeBytes ?? 0n,
  };
}

/** Of what a path leads to: a directory may be a link to one on another disk. */
export async function deviceOf(path: string): Promise<bigint> {
  return (await stat(path, { bigint: true })).dev;
}

async function nearestExisting(path: string): Promise<string> {
  let at = path;
  while (at !== '/' && (await statOrMissing(at)) === undefined) at = dirname(at);
  return at;
}
