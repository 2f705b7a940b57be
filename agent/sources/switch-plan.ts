/** What a plan asks of the directories that a restore would replace, and of the space beside them. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { leftoversOf } from './configuration/placement.ts';
import { statOrMissing } from './configuration/tree.ts';

export interface Looked {
  readonly existing: readonly string[];
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  /** Where there is least. */
  readonly freeBytes: bigint;
}

/** `inPlace`: they are replaced; otherwise they must not be there. */
export async function lookAtPlaces(places: readonly string[], inPlace: boolean, neededBytes: bigint): Promise<Looked> {
  const existing: string[] = [];
  const refusals: string[] = [];
  const warnings: string[] = [];
  let freeBytes: bigint | undefined;
  for (const path of places) {
    const around = places.find((other) => path.startsWith(`${other}/`));
    if (around !== undefined) refusals.push(`${path} lies in ${around}: each must be a directory of its own`);
    const free = await freeBytesAt(path);
    if (free < neededBytes) refusals.push(`${neededBytes} bytes are needed where ${path} lies, and ${free} are free`);
    if (freeBytes === undefined || free < freeBytes) freeBytes = free;
    for (const leftover of await leftoversOf(path)) {
      warnings.push(`${leftover} is left of an earlier restore: look at it, then remove it`);
    }
    if ((await statOrMissing(path)) === undefined) continue;
    existing.push(path);
    const obstacle = inPlace ? await whyNotRenamed(path) : 'exists: choose a directory that is not there';
    if (obstacle !== undefined) refusals.push(`${path} ${obstacle}`);
  }
  return { existing, refusals, warnings, freeBytes: freeBytes ?? 0n };
}

/** The switch is a rename: it would move a link instead of what it points to, and cannot move a mount point. */
async function whyNotRenamed(path: string): Promise<string | undefined> {
  const stat = await statOrMissing(path);
  if (stat?.isSymbolicLink() === true)
    return "is a link: name what it points to in the service's and in the agent's configuration";
  if (stat?.dev === (await statOrMissing(dirname(path)))?.dev) return undefined;
  return 'is a mount point, which cannot be switched: let the service use a directory below it';
}

/** Where a path is, or would be. */
async function freeBytesAt(path: string): Promise<bigint> {
  if ((await statOrMissing(path)) === undefined) return freeBytesAt(dirname(path));
  const { bsize, bavail } = await statfs(path, { bigint: true });
  return bsize * bavail;
}
