/** The tables of a database whose data a backup leaves out: those that match, less those that its other data refer to. */
import { z } from 'zod';
import { patternExpressions } from './exclude.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import type { PostgresServer } from './server.ts';

const tableSchema = z.strictObject({ oid: z.int(), schema: z.string(), name: z.string() });
const leftOutSchema = z.strictObject({
  tables: z.array(tableSchema),
  /** Would be left out, were it not for the foreign keys of tables that are kept: `schema.table`. */
  needed: z.array(z.string()),
});
export type LeftOut = z.infer<typeof leftOutSchema>;

export async function readLeftOut(server: PostgresServer, database: string, patterns: readonly string[]): Promise<LeftOut> {
  const matches = patterns
    .map(patternExpressions)
    .map(({ schema, table }) => `(n.nspname ~ ${quoteLiteral(schema)} and c.relname ~ ${quoteLiteral(table)})`);
  return server.query(
    database,
    `find the tables of the database ${database} whose data are left out`,
    `with recursive matching as (
      select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and (${matches.join(' or ') || 'false'})
        -- pg_dump reads names in the encoding of the database, and ours come to it in UTF-8.
        and (getdatabaseencoding() = 'UTF8' or n.nspname || c.relname !~ '[^ -~]')
    ),
    -- Each table with the partitions below it: rows lie in those.
    tree(top, part) as (
      select oid, oid from pg_class where relkind in ('r', 'p')
      union all
      select tree.top, i.inhrelid from tree join pg_inherits i on i.inhparent = tree.part
        join pg_class c on c.oid = i.inhrelid where c.relispartition
    ),
    -- A key that was never validated is not validated by a restore either.
    reference as (
      select referring.part as referring, referred.part as referred from pg_constraint k
        join tree referring on referring.top = k.conrelid join pg_class c on c.oid = referring.part and c.relkind = 'r'
        join tree referred on referred.top = k.confrelid
      where k.contype = 'f' and k.convalidated and referred.part in (select oid from matching)
    ),
    needed(oid) as (
      select referred from reference where referring not in (select oid from matching)
      union
      select referred from reference join needed on needed.oid = referring
    )
    select json_build_object(
      'tables', (select coalesce(json_agg(json_build_object('oid', oid::bigint, 'schema', nspname, 'name', relname)
          order by nspname, relname), '[]') from matching where oid not in (select oid from needed)),
      'needed', (select coalesce(json_agg(nspname || '.' || relname order by nspname, relname), '[]')
        from matching where oid in (select oid from needed)));`,
    leftOutSchema,
  );
}

/** For pg_dump: exact names. A pattern would take the values of sequences whose names match as well. */
export function excludeArguments({ tables }: LeftOut): string[] {
  return tables.map(({ schema, name }) => `--exclude-table-data=${quoteIdentifier(schema)}.${quoteIdentifier(name)}`);
}
