/** Fills an empty catalogue from a file of another, whole or not at all. */
import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import { AppError } from '#common/errors.ts';
import { NUMBERED_TABLES, TABLE_NAMES } from './catalogue-file.ts';
import type { Row, RowCounts, TableName } from './catalogue-file.ts';
import type { Database } from './database.ts';
import { readCatalogueFile } from './read-catalogue-file.ts';
import type { Schema } from './schema.ts';
import { transact } from './transact.ts';

/** Rows a statement; both databases take some ten thousand parameters. */
const BATCH_ROWS = 200;

/**
 * Whoever leads on this database loses the lead with it. `open` opens the file from its beginning: it is read once to see that it is
 * whole, and again to take it.
 * @returns how many rows of each table. @throws AppError REFUSED when the catalogue is not empty, or the file is of another version;
 * DAMAGED when it is truncated or altered. Nothing was changed then.
 */
export async function importCatalogue(database: Database, open: () => AsyncIterable<Uint8Array>): Promise<RowCounts> {
  await readCatalogueFile(open(), async () => undefined);
  return transact(database, async (transaction, lead) => {
    await requireEmpty(database, transaction);
    const batch = createBatch(transaction);
    const { header, trailer } = await readCatalogueFile(open(), (table, row) => batch.add(table, row));
    await batch.flush();
    await continueSequences(database, transaction);
    await transaction
      .updateTable('leadership')
      .set({ holder: '', address: '', expires_ms: 0, term: Math.max(lead.term, header.term) + 1 })
      .execute();
    return trailer.rows;
  });
}

async function requireEmpty({ name }: Database, transaction: Transaction<Schema>): Promise<void> {
  for (const table of TABLE_NAMES) {
    const { rows } = await sql`SELECT 1 FROM ${sql.table(table)} LIMIT 1`.execute(transaction);
    if (rows.length > 0) {
      throw new AppError('REFUSED', `the catalogue ${name} is not empty: it has ${table}`, {
        hint: 'Import into a new database, before a controller was started on it.',
      });
    }
  }
}

function createBatch(transaction: Transaction<Schema>) {
  let table: TableName | undefined;
  let rows: Row[] = [];
  const flush = async () => {
    const [first] = rows;
    if (table === undefined || first === undefined) return;
    const columns = Object.keys(first);
    const values = rows.map((row) => sql`(${sql.join(columns.map((column) => row[column]))})`);
    rows = [];
    await sql`INSERT INTO ${sql.table(table)} (${sql.join(columns.map((column) => sql.ref(column)))}) VALUES ${sql.join(values)}`.execute(
      transaction,
    );
  };
  return {
    async add(of: TableName, row: Row) {
      if (of !== table || rows.length >= BATCH_ROWS) await flush();
      table = of;
      rows.push(row);
    },
    flush,
  };
}

/** Rows came with their numbers; the next new row must not bear one of them. SQLite sees to it by itself. */
async function continueSequences({ kind }: Database, transaction: Transaction<Schema>): Promise<void> {
  if (kind !== 'postgres') return;
  for (const table of NUMBERED_TABLES) {
    await sql`
      SELECT setval(pg_get_serial_sequence(${table}, 'seq'), coalesce(max(seq), 0) + 1, false) FROM ${sql.table(table)}`.execute(
      transaction,
    );
  }
}
