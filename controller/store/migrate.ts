/** Brings a database to the tables of this version, all steps or none; two controllers that start at once do it once. */
import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import { AppError } from '#common/errors.ts';
import type { Database } from './database.ts';
import { fillSetColumns } from './fill-set-columns.ts';
import type { Schema } from './schema.ts';
import { STEPS, statementFor } from './tables.ts';
import type { DatabaseKind } from './tables.ts';
import { inTransaction } from './transact.ts';

export const SCHEMA_VERSION = STEPS.length;

/** Any number, the same for every controller. */
const MIGRATION_LOCK = 7_203_114_801;

/** An empty database is made a catalogue, or is `none`: who is to read what is there must not make it. */
export type WhereEmpty = 'make' | 'none';

/** @throws AppError REFUSED when a newer version has written here, NOT_FOUND when nothing has and nothing is to be made. */
export async function migrate(database: Database, whereEmpty: WhereEmpty = 'make'): Promise<void> {
  const { kind, name } = database;
  await inTransaction(database, async (step) => {
    if (kind === 'postgres') await sql`SELECT pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(step);
    const version = await readVersion(kind, step);
    if (version > SCHEMA_VERSION) {
      throw new AppError(
        'REFUSED',
        `the catalogue ${name} is of version ${version}, and this controller knows ${SCHEMA_VERSION}`,
        {
          hint: 'Start the version of the controller that wrote it, or a newer one.',
        },
      );
    }
    if (version === SCHEMA_VERSION) return;
    if (version === 0 && whereEmpty === 'none') throw noCatalogue(name);
    for (const statements of STEPS.slice(version)) {
      for (const statement of statements) await sql.raw(statementFor(kind, statement)).execute(step);
    }
    if (version < 2) await fillSetColumns(step);
    await writeVersion(kind, step);
  });
}

export function noCatalogue(name: string): AppError {
  return new AppError('NOT_FOUND', `there is no catalogue in ${name}: no controller was ever started on it`, {
    hint: 'Name the controller.yaml that the controller runs with: by its stateDirectory or catalogue.postgres the catalogue is found.',
  });
}

async function readVersion(kind: DatabaseKind, step: Transaction<Schema>): Promise<number> {
  if (kind === 'sqlite')
    return (await sql<{ user_version: number }>`PRAGMA user_version`.execute(step)).rows[0]?.user_version ?? 0;
  await sql`CREATE TABLE IF NOT EXISTS catalogue_version (version BIGINT NOT NULL)`.execute(step);
  return (await sql<{ version: number }>`SELECT version FROM catalogue_version`.execute(step)).rows[0]?.version ?? 0;
}

async function writeVersion(kind: DatabaseKind, step: Transaction<Schema>): Promise<void> {
  if (kind === 'sqlite') {
    await sql.raw(`PRAGMA user_version = ${SCHEMA_VERSION}`).execute(step);
  } else {
    await sql`DELETE FROM catalogue_version`.execute(step);
    await sql`INSERT INTO catalogue_version (version) VALUES (${sql.lit(SCHEMA_VERSION)})`.execute(step);
  }
}
