/** Writes the catalogue to a file as it stands at one moment, while the controller goes on. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import { TABLES, TABLE_NAMES, headerLine, rowLine, trailerLine } from './catalogue-file.ts';
import type { Row, RowCounts, TableName } from './catalogue-file.ts';
import type { Database } from './database.ts';
import { SCHEMA_VERSION } from './migrate.ts';
import type { Schema } from './schema.ts';

/** Few enough that a page of the longest records is small. */
const PAGE_ROWS = 500;

/** Its lines, to be written as they come, and at last the number of its rows. @throws AppError when the database is lost; then there is no trailer. */
export async function* exportCatalogue({ kind, db }: Database): AsyncGenerator<string, RowCounts, undefined> {
  const sum = createHash('sha256');
  const counts: Record<string, number> = {};
  const told = (line: string) => {
    sum.update(line);
    return line;
  };
  const snapshot = await db.startTransaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute();
  try {
    // It locks nothing, so it may wait for whoever takes the lines.
    if (kind === 'postgres') await sql`SET LOCAL idle_in_transaction_session_timeout = 0`.execute(snapshot);
    const lead = await snapshot.selectFrom('leadership').select('term').executeTakeFirstOrThrow();
    yield told(headerLine({ schema: SCHEMA_VERSION, term: lead.term }));
    for (const table of TABLE_NAMES) {
      counts[table] = 0;
      for await (const row of rowsOf(snapshot, table)) {
        counts[table]++;
        yield told(rowLine(table, row));
      }
    }
    yield trailerLine({ rows: counts, sha256: sum.digest('hex') });
    return counts;
  } finally {
    // Nothing was changed; this ends it also when the reader of the lines went away.
    await snapshot.rollback().execute();
  }
}

/** By pages of the key: a cursor is not had alike on both databases. */
async function* rowsOf(snapshot: Transaction<Schema>, table: TableName): AsyncGenerator<Row, void, undefined> {
  const key = TABLES[table];
  const columns = sql.join(key.map((column) => sql.ref(column)));
  let last: Row | undefined;
  for (;;) {
    const after = last === undefined ? sql`` : sql`WHERE (${columns}) > (${sql.join(key.map((column) => last?.[column]))})`;
    const { rows } = await sql<Row>`
      SELECT * FROM ${sql.table(table)} ${after} ORDER BY ${columns} LIMIT ${sql.lit(PAGE_ROWS)}`.execute(snapshot);
    yield* rows;
    last = rows.at(-1);
    if (rows.length < PAGE_ROWS) return;
  }
}
