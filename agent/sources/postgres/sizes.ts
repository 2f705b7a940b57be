/** How much a database takes, before it is dumped. */
import { z } from 'zod';
import { patternExpressions } from './exclude.ts';
import { quoteLiteral } from './quote.ts';
import type { PostgresServer } from './server.ts';

const bytes = z.string().transform(BigInt);
const sizesSchema = z.strictObject({
  /** On the server's disk, indexes and all, without the tables whose data are left out. */
  database: bytes,
  /** Of that, what a dump holds: rows and large objects. */
  content: bytes,
  /** Tables whose data are left out. */
  excluded: z.array(z.string()),
});
export type DatabaseSizes = z.infer<typeof sizesSchema>;

export async function readSizes(
  server: PostgresServer,
  database: string,
  excludeDataOf: readonly string[],
): Promise<DatabaseSizes> {
  const excluded = excludeDataOf
    .map(patternExpressions)
    .map(({ schema, table }) => `(n.nspname ~ ${quoteLiteral(schema)} and c.relname ~ ${quoteLiteral(table)})`);
  return server.query(
    database,
    `measure the database ${database}`,
    `with tables as (
      select c.oid, n.nspname, c.relname, (${excluded.join(' or ') || 'false'}) as excluded
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    )
    select json_build_object(
      'database', (pg_database_size(current_database())
        - coalesce((select sum(pg_total_relation_size(oid)) from tables where excluded), 0))::text,
      'content', (pg_table_size('pg_largeobject')
        + coalesce((select sum(pg_table_size(oid)) from tables where not excluded), 0))::text,
      'excluded', (select coalesce(json_agg(nspname || '.' || relname order by 1), '[]') from tables where excluded));`,
    sizesSchema,
  );
}
