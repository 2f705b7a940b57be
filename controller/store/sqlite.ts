/** The catalogue in one SQLite file: WAL, every commit on the disk before it is answered. */
import { chmodSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import { CompiledQuery, Kysely, SqliteDialect, SqliteDriver } from 'kysely';
import type { DatabaseConnection, TransactionSettings } from 'kysely';
import { toAppError } from '#common/errors.ts';
import { storable } from './database.ts';
import type { Database } from './database.ts';
import { takeLead } from './leadership.ts';
import { migrate } from './migrate.ts';
import type { WhereEmpty } from './migrate.ts';
import { openStore } from './open-store.ts';
import type { Schema } from './schema.ts';
import { sqliteError } from './sqlite-error.ts';
import type { Store, StoreOptions } from './store.ts';

/** Nobody else waits for the end of it: the next one who opens the file takes the lead at once. */
const FOR_GOOD_MS = 1e14;

export async function openSqliteStore(path: string, options: StoreOptions = {}): Promise<Store> {
  const database = await openSqlite(path);
  try {
    const self = { holder: `${hostname()}, process ${process.pid}`, address: '' };
    const lead = await takeLead(database, self, FOR_GOOD_MS, undefined, { atOnce: true });
    return openStore(database, options, lead.kind === 'leading' ? lead.term : undefined);
  } catch (error) {
    await database.db.destroy();
    throw toAppError(error, `open the catalogue ${path}`);
  }
}

/** The file with the tables of this version; whoever leads goes on to. */
export async function openSqlite(path: string, whereEmpty?: WhereEmpty): Promise<Database> {
  const database: Database = {
    kind: 'sqlite',
    name: path,
    db: new Kysely<Schema>({ dialect: new Dialect(openFile(path), path) }),
  };
  try {
    await migrate(database, whereEmpty);
    return database;
  } catch (error) {
    await database.db.destroy();
    throw toAppError(error, `open the catalogue ${path}`);
  }
}

function openFile(path: string): DatabaseSync {
  try {
    const file = new DatabaseSync(path, { timeout: 2000 });
    chmodSync(path, 0o600);
    // A wait inside SQLite stands the whole process still: busy files are tried again from outside.
    file.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10');
    return file;
  } catch (error) {
    throw sqliteError(error, `open the catalogue ${path}`);
  }
}

class Dialect extends SqliteDialect {
  readonly #file: DatabaseSync;
  readonly #path: string;

  constructor(file: DatabaseSync, path: string) {
    super({ database: adapt(file, path) });
    this.#file = file;
    this.#path = path;
  }

  override createDriver(): SqliteDriver {
    return new Driver(this.#file, this.#path);
  }
}

class Driver extends SqliteDriver {
  readonly #file: DatabaseSync;

  constructor(file: DatabaseSync, path: string) {
    super({ database: adapt(file, path) });
    this.#file = file;
  }

  /** A transaction that is to write excludes all others from its beginning: it could not be made to wait later. */
  override async beginTransaction(connection: DatabaseConnection, settings?: TransactionSettings): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(settings?.accessMode === 'read only' ? 'begin' : 'begin immediate'));
  }

  /** After some errors (a full disk) SQLite has rolled back by itself. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#file.isTransaction) await super.rollbackTransaction(connection);
  }
}

/** node:sqlite in the shape that kysely expects. */
function adapt(file: DatabaseSync, path: string) {
  const values = (parameters: readonly unknown[]) => parameters.map(storable) as SQLInputValue[];
  const told = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw sqliteError(error, `use the catalogue ${path}`);
    }
  };
  return {
    close: () => file.close(),
    prepare(text: string) {
      const statement = told(() => file.prepare(text));
      return {
        reader: statement.columns().length > 0,
        all: (parameters: readonly unknown[]) => told(() => statement.all(...values(parameters))),
        run: (parameters: readonly unknown[]) => told(() => statement.run(...values(parameters))),
        iterate: (parameters: readonly unknown[]) => statement.iterate(...values(parameters)),
      };
    },
  };
}
