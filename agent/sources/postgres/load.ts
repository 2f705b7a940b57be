/** Builds a restored database under a name of its own and proves it against the dump, before anything else is touched. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { SourceIo } from '../source.ts';
import { applyProperties, keptDatabaseSchema } from './database.ts';
import type { KeptDatabase } from './database.ts';
import { countDumpLargeObjects, countDumpRows } from './dump-rows.ts';
import type { databasePaths } from './layout.ts';
import { OF_EXTENSION, OWN_RELATIONS } from './own-relations.ts';
import { whilePolling } from './poll.ts';
import { quoteLiteral } from './quote.ts';
import { rolesSchema } from './roles.ts';
import type { Roles } from './roles.ts';
import type { PostgresServer } from './server.ts';
import { RELATION_KIND_NAMES, parseToc, relkinds } from './toc.ts';
import type { Toc } from './toc.ts';

/** The size of the database in making is asked for by a query of its own. */
const LOOK_MS = 5000;
/** Tables counted by one query. */
const COUNT_TOGETHER = 200;

/** What stands for a name that is not UTF-8, in the dump of a database of another encoding. */
const UNREADABLE = '\uFFFD';

type Paths = ReturnType<typeof databasePaths>;

export interface Kept {
  readonly properties: KeptDatabase;
  readonly roles: Roles;
}

export interface Loaded {
  readonly tables: number;
  readonly rows: bigint;
}

/** @throws AppError DAMAGED */
export async function readKept(paths: Paths): Promise<Kept> {
  return {
    properties: await readJson(paths.properties, keptDatabaseSchema),
    roles: await readJson(paths.roles, rolesSchema),
  };
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new AppError('DAMAGED', toAppError(error, `read ${path} of the backup`).message, { cause: error });
  }
}

/** Into the empty database `name`. @throws AppError DAMAGED when what arrived is not what the dump holds; TOOL, TIMEOUT, UNAVAILABLE. */
export async function loadDatabase(
  server: PostgresServer,
  of: {
    readonly kept: Kept;
    readonly paths: Paths;
    readonly name: string;
    /** Whether tables go into the tablespaces they were in. */
    readonly tablespaces: boolean;
    readonly jobs: number;
    readonly expectedBytes: bigint;
  },
  io: SourceIo,
  clock: Clock,
): Promise<Loaded> {
  const { properties } = of.kept;
  const restoring = `restore the database ${properties.name}`;
  const maintenance = server.maintenanceDatabase;
  if (!properties.hasPublicSchema) await server.execute(of.name, restoring, ['DROP SCHEMA public']);

  const args = [
    '-Fd',
    `-j${of.jobs}`,
    '--exit-on-error',
    '--no-password',
    // One is no data of this database, and keeps it from being dropped: no roll back could be clean.
    '--no-subscriptions',
    ...(of.tablespaces ? [] : ['--no-tablespaces']),
  ];
  const phase = `restore ${properties.name}`;
  const size = `select to_json(pg_database_size(${quoteLiteral(of.name)})::text);`;
  const look = async () => {
    const bytes = await server.query(maintenance, restoring, size, z.string().transform(BigInt));
    io.progress(phase, bytes, of.expectedBytes);
  };
  await whilePolling(
    server.run('pg_restore', restoring, [...args, of.paths.dump], of.name),
    { everyMs: LOOK_MS, clock, io },
    look,
  );

  const loaded = await requireAsDumped(server, of.paths.dump, of.name, properties.name, io);
  await server.execute(of.name, `${restoring}: analyze it`, ['ANALYZE']);
  await server.execute(maintenance, `${restoring}: set its grants, settings and limit`, applyProperties(properties, of.name));
  return loaded;
}

async function requireAsDumped(
  server: PostgresServer,
  dump: string,
  database: string,
  original: string,
  io: SourceIo,
): Promise<Loaded> {
  const doing = `compare the restored ${original} with its dump`;
  io.log('info', doing);
  const toc = parseToc((await server.run('pg_restore', doing, ['--list', dump])).stdout);
  if (toc.subscriptions)
    io.log('warn', `the subscriptions of ${original} are not restored: create them again when it is in place`);
  await requireRelations(server, toc, database, doing);
  const expected = await countDumpRows(
    dump,
    toc.tableData.map(({ file }) => file),
    io.signal,
  );
  const labelled = Map.groupBy(await tableNames(server, database, doing), (table) => table.label);

  const comparable: { name: string; rows: bigint }[] = [];
  for (const { file, label } of toc.tableData) {
    const found = labelled.get(label) ?? [];
    const [table] = found;
    if (found.length > 1 || (table === undefined && label.includes(UNREADABLE))) {
      io.log('warn', `${doing}: the rows of ${label} were not counted, its name cannot be told from the dump`);
    } else if (table === undefined) {
      throw new AppError('DAMAGED', `${doing}: the table ${label} was not restored`);
    } else if (!table.ofExtension) {
      comparable.push({ name: table.name, rows: expected.get(file) ?? 0n });
    }
  }
  for (let at = 0; at < comparable.length; at += COUNT_TOGETHER) {
    io.signal.throwIfAborted();
    const some = comparable.slice(at, at + COUNT_TOGETHER);
    const counts = await countRows(
      server,
      database,
      some.map(({ name }) => name),
      doing,
    );
    for (const [index, { name, rows }] of some.entries()) {
      if (counts[index] !== rows) {
        throw new AppError('DAMAGED', `${doing}: ${name} has ${counts[index]} rows, its dump holds ${rows}`);
      }
    }
  }
  await requireLargeObjects(server, dump, database, doing, io);
  return { tables: toc.relations.TABLE, rows: comparable.reduce((sum, { rows }) => sum + rows, 0n) };
}

async function requireRelations(server: PostgresServer, toc: Toc, database: string, doing: string): Promise<void> {
  const sql = `select coalesce(json_object_agg(relkind, number), '{}') from
    (select c.relkind, count(*) as number ${OWN_RELATIONS} and not ${OF_EXTENSION} group by 1) kinds;`;
  const counts = await server.query(database, doing, sql, z.record(z.string(), z.number()));
  for (const kind of RELATION_KIND_NAMES) {
    const found = relkinds(kind).reduce((sum, relkind) => sum + (counts[relkind] ?? 0), 0);
    if (found < toc.relations[kind]) {
      throw new AppError('DAMAGED', `${doing}: ${found} of kind ${kind} are there, the dump holds ${toc.relations[kind]}`);
    }
  }
}

async function tableNames(
  server: PostgresServer,
  database: string,
  doing: string,
): Promise<{ label: string; name: string; ofExtension: boolean }[]> {
  const sql = String.raw`select coalesce(json_agg(json_build_object(
      'label', regexp_replace(concat_ws(' ', n.nspname, c.relname, pg_get_userbyid(c.relowner)), '[\r\n]', ' ', 'g'),
      'name', format('%I.%I', n.nspname, c.relname), 'ofExtension', ${OF_EXTENSION})), '[]') ${OWN_RELATIONS}
      and c.relkind in ('r', 'f');`;
  return server.query(database, doing, sql, z.array(z.object({ label: z.string(), name: z.string(), ofExtension: z.boolean() })));
}

/** `names` are quoted already. ONLY: a dump holds each table's rows apart from those that inherit from it. */
async function countRows(server: PostgresServer, database: string, names: readonly string[], doing: string): Promise<bigint[]> {
  const each = names.map((name, index) => `select ${index} as at, count(*)::text as rows from only ${name}`);
  const sql = `select json_agg(rows order by at) from (${each.join(' union all ')}) counts;`;
  return server.query(database, doing, sql, z.array(z.string().transform(BigInt)));
}

async function requireLargeObjects(
  server: PostgresServer,
  dump: string,
  database: string,
  doing: string,
  io: SourceIo,
): Promise<void> {
  const expected = await countDumpLargeObjects(dump, io.signal);
  const sql = 'select to_json(count(*)::text) from pg_largeobject_metadata;';
  const found = await server.query(database, doing, sql, z.string().transform(BigInt));
  if (found !== expected) {
    throw new AppError('DAMAGED', `${doing}: ${found} large objects are there, the dump holds ${expected}`);
  }
}
