/** Empty databases for the tests of the catalogue: SQLite files, and databases of a real PostgreSQL of the test's own. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openPostgresStore } from '../../controller/store/postgres.ts';
import type { PostgresOptions } from '../../controller/store/postgres-options.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import type { Lead, Store } from '../../controller/store/store.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import type { Home } from './home.ts';

export interface SqliteHome extends Home {
  readonly path: string;
}

export async function sqliteHome(): Promise<SqliteHome> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-store-'));
  const path = join(directory, 'catalogue.sqlite');
  const opened: Store[] = [];
  return {
    path,
    async open(options) {
      const store = await openSqliteStore(path, options);
      opened.push(store);
      return store;
    },
    async rows(sql) {
      using file = new DatabaseSync(path, { readOnly: true });
      return file.prepare(sql).all();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((store) => store.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface PostgresHome extends Home {
  readonly database: string;
  where(change?: Partial<PostgresOptions>): PostgresOptions;
  /** Without taking the lead. */
  follow(change?: Partial<PostgresOptions>): Promise<Store>;
}

export async function postgresHome(server: TestServer): Promise<PostgresHome> {
  const database = `catalogue_${randomBytes(6).toString('hex')}`;
  await server.sql('postgres', `create database ${database}`);
  const opened: Store[] = [];
  const where = (change: Partial<PostgresOptions> = {}): PostgresOptions => ({
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    database,
    passwordFile: server.passwordFile,
    ...change,
  });
  return {
    database,
    where,
    async follow(change) {
      const store = await openPostgresStore(where(change));
      opened.push(store);
      return store;
    },
    async open(options) {
      const store = await openPostgresStore(where(), options);
      opened.push(store);
      await takeOver(store, server, database);
      return store;
    },
    rows: (sql) => server.sql(database, sql),
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((store) => store.close()));
      await server.sql('postgres', `drop database ${database} with (force)`);
    },
  };
}

/** As after the lease of whoever leads has run out. */
async function takeOver(store: Store, server: TestServer, database: string): Promise<Lead> {
  await server.sql(database, 'update leadership set expires_ms = 0');
  return store.takeLead({ holder: 'test', address: 'test:1' }, 600_000);
}
