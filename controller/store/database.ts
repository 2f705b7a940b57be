/** What the parts of the store need of a database, whichever of the two it is. */
import { sql } from 'kysely';
import type { Kysely, RawBuilder } from 'kysely';
import { AppError } from '#common/errors.ts';
import type { Schema } from './schema.ts';
import type { DatabaseKind } from './tables.ts';

export interface Database {
  readonly kind: DatabaseKind;
  readonly db: Kysely<Schema>;
  /** For messages: a path, or user@host/database. */
  readonly name: string;
}

/** Epoch milliseconds by the clock of the database: the one clock that all controllers of a catalogue share. */
export function databaseNow(kind: DatabaseKind): RawBuilder<number> {
  return kind === 'sqlite'
    ? sql<number>`CAST(unixepoch('subsec') * 1000 AS INTEGER)`
    : sql<number>`CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`;
}

/** PostgreSQL cannot store the character NUL, which messages of tools may hold; the same is written on both. */
export function storable(parameter: unknown): unknown {
  return typeof parameter === 'string' ? parameter.replaceAll('\0', '\uFFFD') : parameter;
}

/** Certain to have changed nothing, and to pass when done again: the database was busy, or gave up one of two that waited for each other. */
export function tryAgain(message: string, cause: unknown): AppError {
  return new AppError('UNAVAILABLE', message, { cause, details: { tryAgain: true } });
}

export function mayTryAgain(error: unknown): boolean {
  return error instanceof AppError && error.details['tryAgain'] === true;
}
