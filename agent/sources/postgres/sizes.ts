/**
 * How much a database takes, before it is dumped: upper guesses, which get closer the fresher the server's statistics are.
 * Except for what the server keeps compressed (wide columns) or as bytes: a dump has it as text, which may be many times larger.
 */
import { z } from 'zod';
import type { LeftOut } from './left-out.ts';
import type { PostgresServer } from './server.ts';

const bytes = z.string().transform(BigInt);
const sizesSchema = z.strictObject({
  /** On the server's disk, indexes and all, without the tables whose data are left out. */
  database: bytes,
  /** Of that, what a dump holds: rows and large objects. */
  content: bytes,
});
export type DatabaseSizes = z.infer<typeof sizesSchema>;

export async function readSizes(server: PostgresServer, database: string, leftOut: LeftOut): Promise<DatabaseSizes> {
  return server.query(
    database,
    `measure the database ${database}`,
    // From the catalogue's own figures: pg_table_size would wait for whoever has a table locked.
    `with relations as (
      select c.oid, c.relkind, c.reltoastrelid,
        greatest(c.relpages, 0)::bigint * current_setting('block_size')::bigint as bytes,
        n.nspname = 'pg_catalog' and c.relname not like 'pg_largeobject%' as of_system,
        c.oid = any ('{${leftOut.tables.map(({ oid }) => oid).join(',')}}'::oid[]) as excluded
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
    ),
    left_out as (
      select coalesce(sum(bytes), 0) as bytes from relations where excluded
        or oid in (select reltoastrelid from relations where excluded)
        or oid in (select indexrelid from pg_index where indrelid in (select oid from relations where excluded))
    ),
    no_content as (
      select coalesce(sum(bytes), 0) as bytes from relations where not excluded and (relkind in ('i', 'I') or of_system)
        and oid not in (select indexrelid from pg_index where indrelid in (select oid from relations where excluded))
    )
    select json_build_object(
      'database', greatest(pg_database_size(current_database()) - (select bytes from left_out), 0)::bigint::text,
      'content', greatest(pg_database_size(current_database()) - (select bytes from left_out)
        - (select bytes from no_content), 0)::bigint::text);`,
    sizesSchema,
  );
}
