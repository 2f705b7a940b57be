/**
 * The fence: from the first sign of a newer attempt of a run on, older ones write and delete nothing any more, also after a restart.
 * The controller gives up a lost agent by clearing its files under the next attempt.
 */
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#common/clock.ts';
import { writeDurably } from '#common/durable-file.ts';
import { AppError } from '#common/errors.ts';
import type { Grant } from '#common/grant.ts';

export interface Attempts {
  /** @throws AppError FENCED when the grant's attempt is older than one seen for its run below `prefix`. */
  require(grant: Grant, prefix: string): Promise<void>;
}

/** Grants live for a day at most: what they fence need not be remembered for longer than two. */
const REMEMBERED_MS = 2 * 86_400_000;

export async function openAttempts(directory: string, clock: Clock): Promise<Attempts> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const newest = new Map<string, number>();
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if ((await stat(path)).mtimeMs < clock.now() - REMEMBERED_MS) await rm(path);
    else newest.set(name, Number(await readFile(path, 'utf8')));
  }

  return {
    async require(grant, prefix) {
      const name = Buffer.from(`${grant.run}\n${prefix}`).toString('base64url').slice(0, 240);
      // Attempt 1 fences nobody: no file for the usual case.
      const seen = newest.get(name) ?? 1;
      if (grant.attempt < seen) {
        throw new AppError(
          'FENCED',
          `attempt ${grant.attempt} of run ${grant.run} was given up: attempt ${seen} has taken over ${prefix}`,
        );
      }
      if (grant.attempt > seen) {
        await writeDurably(join(directory, name), String(grant.attempt));
        newest.set(name, grant.attempt);
      }
    },
  };
}
