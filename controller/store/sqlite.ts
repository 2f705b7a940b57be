/** The catalogue in one SQLite file: WAL, every commit on the disk before it is answered, open to one controller at a time. */
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import { Kysely, SqliteDialect } from 'kysely';
import { AppError, toAppError } from '#common/errors.ts';
import { migrate } from './schema.ts';
import type { Schema } from './schema.ts';
import type { Store } from './store.ts';
import { viewOf } from './view.ts';

export async function openSqliteStore(path: string): Promise<Store> {
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: openDatabase(path) }) });
  try {
    await migrate(db, path);
  } catch (error) {
    await db.destroy();
    throw toAppError(error, `open the catalogue ${path}`);
  }
  return {
    ...viewOf(db),
    transaction: (work) => db.transaction().execute((transaction) => work(viewOf(transaction))),
    close: () => db.destroy(),
  };
}

/** node:sqlite in the shape that kysely expects. */
function openDatabase(path: string) {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path);
    chmodSync(path, 0o600);
    // Two controllers on one catalogue would each give out its runs. The lock goes with the process, however that ends.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec('BEGIN IMMEDIATE; COMMIT');
  } catch (error) {
    if (isBusy(error)) {
      throw new AppError('REFUSED', `the catalogue ${path} is in use by another controller`, {
        cause: error,
        hint: 'Stop the controller that runs on this state directory, or give this one its own.',
      });
    }
    throw toAppError(error, `open the catalogue ${path}`);
  }
  return {
    close: () => database.close(),
    prepare(text: string) {
      // A full disk ends a transaction by itself: to roll that back would fail, and hide the reason.
      const isOver = text === 'rollback' && !database.isTransaction;
      const statement = database.prepare(isOver ? 'SELECT 1' : text);
      const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
      return {
        reader: statement.columns().length > 0,
        all: (parameters: readonly unknown[]) => orFull(path, () => statement.all(...values(parameters))),
        run: (parameters: readonly unknown[]) => orFull(path, () => statement.run(...values(parameters))),
        iterate: (parameters: readonly unknown[]) => statement.iterate(...values(parameters)),
      };
    },
  };
}

/** SQLite says neither which disk is full nor what to do. */
function orFull<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const SQLITE_FULL = 13;
    if (!hasCode(error, SQLITE_FULL)) throw error;
    throw new AppError('NO_SPACE', `write the catalogue ${path}: its disk is full`, { cause: error });
  }
}

function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5;
  return hasCode(error, SQLITE_BUSY);
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === code;
}
