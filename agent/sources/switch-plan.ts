/** What a plan finds at the places that a restore replaces. It does so by a rename, in the directory that the place lies in. */
import type { BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import { leftoversOf } from './configuration/placement.ts';
import { statOrMissing } from './configuration/tree.ts';
import { deviceOf } from './findings.ts';
import type { Findings } from './findings.ts';

/** The directories of a service. `inPlace`: they are replaced; otherwise they must not be there. */
export async function lookAtPlaces(places: readonly string[], inPlace: boolean, found: Findings): Promise<void> {
  for (const path of places) {
    const around = places.find((other) => path.startsWith(`${other}/`));
    if (around !== undefined) found.refusals.push(`${path} lies in ${around}: each must be a directory of its own`);
    const there = await lookAtPlace(path, found);
    if (there === undefined) continue;
    if (!inPlace) found.refusals.push(`${path} exists: choose a directory that is not there`);
    // The link would be moved instead of what it points to.
    else if (there.isSymbolicLink()) {
      found.refusals.push(`${path} is a link: name what it points to in the service's and in the agent's configuration`);
    }
  }
}

/** A file or directory; undefined: nothing is there. */
export async function lookAtPlace(path: string, found: Findings): Promise<BigIntStats | undefined> {
  for (const leftover of await leftoversOf(path)) {
    found.warnings.push(`${leftover} is what an earlier restore replaced: look at it, and remove it when it is not wanted`);
  }
  const there = await statOrMissing(path);
  if (there === undefined) return undefined;
  found.overwrites.push(path);
  if (there.dev !== (await deviceOf(dirname(path)))) {
    found.refusals.push(
      `${path} is a mount point, which cannot be switched: let the service use a directory below it, or restore into another directory and copy from there`,
    );
  }
  return there;
}
