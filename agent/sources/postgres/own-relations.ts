/** Parts of queries that look at what a database's users made, as a dump holds it. */

/** FROM and WHERE: everything that is not the server's own. */
export const OWN_RELATIONS = `from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;

/** Comes with its extension: a dump holds no definition of it. */
export const OF_EXTENSION = `exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')`;
