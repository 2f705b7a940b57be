/** The catalogue in a PostgreSQL database of its own, for two controllers of which one leads. */
import { Kysely, PostgresDialect } from 'kysely';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import { toAppError } from '#common/errors.ts';
import { storable } from './database.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import type { WhereEmpty } from './migrate.ts';
import { openStore } from './open-store.ts';
import { CatalogueClient } from './postgres-client.ts';
import { isLost, postgresError } from './postgres-error.ts';
import { poolConfig } from './postgres-options.ts';
import type { PostgresOptions } from './postgres-options.ts';
import type { Schema } from './schema.ts';
import type { Store, StoreOptions } from './store.ts';

/** Follows until it has taken the lead. */
export async function openPostgresStore(where: PostgresOptions, options: StoreOptions = {}): Promise<Store> {
  return openStore(await openPostgres(where), options);
}

/** The database with the tables of this version. @throws AppError UNAVAILABLE, INVALID, REFUSED */
export async function openPostgres(where: PostgresOptions, whereEmpty?: WhereEmpty): Promise<Database> {
  const { name, config } = await poolConfig(where);
  const pool = new Pool({ ...config, Client: CatalogueClient });
  // A connection was lost while idle: the next one who uses the pool gets a new one, or is told that there is none.
  pool.on('error', () => undefined);
  const database: Database = {
    kind: 'postgres',
    name,
    db: new Kysely<Schema>({ dialect: new PostgresDialect({ pool: adapt(pool, name) }) }),
  };
  try {
    await migrate(database, whereEmpty);
    return database;
  } catch (error) {
    await database.db.destroy();
    throw toAppError(error, `open the catalogue ${name}`);
  }
}

/** The pool with our errors; a connection that has failed is not lent out again. */
function adapt(pool: Pool, name: string): PostgresPool {
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      try {
        return lend(await pool.connect(), name);
      } catch (error) {
        throw postgresError(error, `connect to the catalogue ${name}`);
      }
    },
  };
}

function lend(client: PoolClient, name: string): PostgresPoolClient {
  let broken = false;
  const query = async (text: string, values: readonly unknown[]) => {
    try {
      return await client.query(text, values.map(storable));
    } catch (error) {
      broken ||= isLost(error);
      throw postgresError(error, `use the catalogue ${name}`);
    }
  };
  // Its other form, with a cursor, is not used here: what is long is read in pages.
  return {
    query: query as unknown as PostgresPoolClient['query'],
    release: (destroy) => client.release(destroy === true || broken),
  };
}
