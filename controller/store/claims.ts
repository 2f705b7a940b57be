/**
 * What a run holds alone while it is running: one of the slots (so many runs at a time, a setting) and each of its sources (what
 * overlaps never runs together). Names are unique in the database, so no fault of the engine can break either.
 */
import type { Kysely } from 'kysely';
import { AppError } from '#common/errors.ts';
import type { Run } from '../model.ts';
import type { Schema } from './schema.ts';

/** The claims of a running run become exactly what it needs; any other has none. @throws AppError LIMIT, REFUSED; then nothing was written. */
export async function claimFor(db: Kysely<Schema>, run: Run, slots: number): Promise<void> {
  if (run.state !== 'running') {
    await db.deleteFrom('claims').where('run', '=', run.id).execute();
    return;
  }
  // At most one a slot and a source: few rows.
  const claims = await db.selectFrom('claims').selectAll().execute();
  const own = claims.filter((claim) => claim.run === run.id).map(({ name }) => name);
  const needed = [slotFor(run, claims, slots), ...new Set(run.sources.map(({ source }) => sourceClaim(source)))];
  const taken = claims.find((claim) => claim.run !== run.id && needed.includes(claim.name));
  if (taken !== undefined) {
    throw new AppError(
      'REFUSED',
      `the run ${run.id} cannot run: ${taken.name.replace(':', ' ')} is in use by the run ${taken.run}`,
      {
        hint: 'Wait until that run has ended.',
      },
    );
  }
  const lacking = needed.filter((name) => !own.includes(name));
  const spare = own.filter((name) => !needed.includes(name));
  if (spare.length > 0) await db.deleteFrom('claims').where('name', 'in', spare).execute();
  if (lacking.length > 0) {
    await db
      .insertInto('claims')
      .values(lacking.map((name) => ({ name, run: run.id })))
      .execute();
  }
}

/** The one it has, else the first free one. */
function slotFor(run: Run, claims: readonly { name: string; run: string }[], slots: number): string {
  const own = claims.find((claim) => claim.run === run.id && claim.name.startsWith('slot:'));
  if (own !== undefined) return own.name;
  const names = Array.from({ length: slots }, (_none, index) => `slot:${index + 1}`);
  const free = names.find((name) => claims.every((claim) => claim.name !== name));
  if (free !== undefined) return free;
  const running = claims.filter(({ name }) => name.startsWith('slot:')).map((claim) => claim.run);
  throw new AppError(
    'LIMIT',
    `the run ${run.id} cannot run: ${running.join(', ')} ${running.length === 1 ? 'does' : 'do'}, and ${slots} may at a time`,
    {
      hint: 'Wait until one has ended.',
    },
  );
}

/** Restores claim as backups do: a source is not backed up while it is restored. */
function sourceClaim(source: string): string {
  return `source:${source}`;
}
