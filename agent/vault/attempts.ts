/**
 * The fence: from the first sign of a newer attempt of a run on, older ones write and delete nothing any more, also after a restart.
 * The controller gives up a lost agent by handing its work to the next attempt, which first lists and clears what is there.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '#common/clock.ts';
import { syncDirectory, writeDurably } from '#common/durable-file.ts';
import { AppError } from '#common/errors.ts';
import type { Grant } from '#common/grant.ts';

/** To be called one at a time: between the check of an older attempt and its change no newer one may come. */
export interface Attempts {
  /** From here on, durably, attempts of its run below `prefix` that are older than the grant's are fenced. */
  note(grant: Grant, prefix: string): Promise<void>;
  /** @throws AppError FENCED when a newer attempt was noted. */
  requireNewest(grant: Grant, prefix: string): void;
}

/** Grants live for a day at most: what they fence need not be remembered for longer than two. */
const REMEMBERED_MS = 2 * 86_400_000;
const NAME = /^[0-9a-f]{64}$/;

export async function openAttempts(directory: string, clock: Clock): Promise<Attempts> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await syncDirectory(dirname(directory));
  const newest = new Map<string, number>();
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    // Another name: a write that a death cut off.
    if (!NAME.test(name) || (await stat(path)).mtimeMs < clock.now() - REMEMBERED_MS) await rm(path);
    else newest.set(name, Number(await readFile(path, 'utf8')));
  }
  // Attempt 1 fences nobody: no file for the usual case.
  const newestOf = (name: string) => newest.get(name) ?? 1;

  return {
    async note(grant, prefix) {
      const name = nameOf(grant.run, prefix);
      if (grant.attempt <= newestOf(name)) return;
      await writeDurably(join(directory, name), String(grant.attempt));
      newest.set(name, grant.attempt);
    },
    requireNewest(grant, prefix) {
      const seen = newestOf(nameOf(grant.run, prefix));
      if (grant.attempt >= seen) return;
      throw new AppError(
        'FENCED',
        `attempt ${grant.attempt} of run ${grant.run} was given up: attempt ${seen} has taken over ${prefix}`,
      );
    },
  };
}

/** A hash: both together may be longer than a file name. */
function nameOf(run: string, prefix: string): string {
  return createHash('sha256').update(`${run}\n${prefix}`).digest('hex');
}
