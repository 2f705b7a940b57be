/** The backup of PostgreSQL databases and of the configuration beside them. Each dump is of one moment; several databases are not of the same one. */
import { mkdir, writeFile } from 'node:fs/promises';
import { formatSize } from '#common/bytes.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { measureConfiguration } from '../configuration/measure.ts';
import { measureTree } from '../configuration/tree.ts';
import type { BackupContent, BackupRequest, PreparedBackup, SourceIo } from '../source.ts';
import { readDatabase } from './database.ts';
import { encodeFacts } from './facts.ts';
import type { DatabaseFacts } from './facts.ts';
import { configurationPath, databasePaths } from './layout.ts';
import { excludeArguments, readLeftOut } from './left-out.ts';
import type { LeftOut } from './left-out.ts';
import { directoryName } from './names.ts';
import { whilePolling } from './poll.ts';
import { mergeRoles, readRoles, rolesScript } from './roles.ts';
import { LOCK_WAIT_MS, openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { readSizes } from './sizes.ts';
import type { DatabaseSizes } from './sizes.ts';
import { orSpoolFull, requireSpool } from './spool.ts';

/** How often the growing dump is looked at. */
const LOOK_MS = 1000;

interface ChosenDatabase {
  readonly name: string;
  readonly leftOut: LeftOut;
  readonly sizes: DatabaseSizes;
}

export async function preparePostgresBackup(
  prefix: string,
  settings: PostgresSourceSettings,
  request: BackupRequest,
  io: SourceIo,
  clock: Clock,
): Promise<PreparedBackup> {
  const server = await openServer(settings, io.signal);
  const dumpMajor = await requireFittingTool(server, io);
  const databases = await chooseDatabases(server, settings, request);
  const configuration = await measureConfiguration(settings.configuration, io);
  const content = databases.reduce((sum, { sizes }) => sum + sizes.content, 0n);

  return {
    estimate: () => Promise.resolve(databases.reduce((sum, { sizes }) => sum + sizes.database, configuration)),
    async backup() {
      await requireSpool(io.workDirectory, content);
      if (!server.superuser) {
        io.log(
          'warn',
          `${server.user} is no superuser of ${server.address}: the password hashes of roles are not in this backup`,
        );
      }
      const done: DatabaseFacts[] = [];
      for (const database of databases) done.push(await backUpDatabase(database));
      return contentOf(done);
    },
    async [Symbol.asyncDispose]() {
      // Nothing is held on the server, and the work directory is the runner's.
    },
  };

  async function backUpDatabase(database: ChosenDatabase): Promise<DatabaseFacts> {
    const { name, sizes } = database;
    const directory = directoryName(name);
    const paths = databasePaths(io.workDirectory, prefix, directory);
    await mkdir(paths.base, { recursive: true, mode: 0o700 });
    tellLeftOut(database, io);
    // The dump may name a role that goes away while it is made, or that came just before it.
    const rolesBefore = await readRoles(server, name);
    await dump(database, paths.dump);
    const roles = mergeRoles(rolesBefore, await readRoles(server, name));
    const properties = await readDatabase(server, name);
    await writeFile(paths.properties, `${JSON.stringify(properties, null, 2)}\n`, { mode: 0o600 });
    await writeFile(paths.roles, `${JSON.stringify(roles, null, 2)}\n`, { mode: 0o600 });
    await writeFile(paths.script, rolesScript(roles, server.major), { mode: 0o600 });
    return { name, directory, bytes: sizes.database, roles: roles.roles.map((role) => role.name) };
  }

  async function dump({ name, leftOut, sizes }: ChosenDatabase, into: string): Promise<void> {
    const phase = `dump ${name}`;
    const doing = `dump the database ${name}`;
    const args = [
      '-Fd',
      `-j${settings.jobs}`,
      '-Z0',
      // The archive made from it is what must be durable.
      '--no-sync',
      '--no-password',
      `--lock-wait-timeout=${LOCK_WAIT_MS}`,
      ...excludeArguments(leftOut),
      '-f',
      into,
    ];
    const look = async () => io.progress(phase, (await measureTree(into)).bytes, sizes.content);
    const dumping = whilePolling(server.run('pg_dump', doing, args, name), { everyMs: LOOK_MS, clock, io }, look);
    await orSpoolFull(io.workDirectory, doing, dumping);
    const { bytes } = await measureTree(into);
    io.progress(phase, bytes, bytes);
    io.log('info', `dumped the database ${name}: ${formatSize(bytes)}`);
  }

  function contentOf(done: readonly DatabaseFacts[]): BackupContent {
    return {
      roots: [
        { from: `${io.workDirectory}/${prefix}`, as: prefix },
        ...settings.configuration.map((path) => ({ from: path, as: configurationPath(prefix, path), xattrs: true })),
      ],
      facts: encodeFacts({
        serverVersion: server.version,
        serverMajor: server.major,
        dumpMajor,
        databases: done,
        configuration: settings.configuration,
        configurationBytes: configuration,
      }),
    };
  }
}

/** An older pg_dump refuses a newer server; said here with both versions, before anything is done. */
async function requireFittingTool(server: PostgresServer, io: SourceIo): Promise<number> {
  const tool = await server.toolVersion('pg_dump');
  if (tool.major < server.major) {
    throw new AppError(
      'REFUSED',
      `dump from ${server.address}: pg_dump is of version ${tool.text} and the server of version ${server.version}; pg_dump must not be older`,
      { hint: `Install the client tools of PostgreSQL ${server.major}, or name their directory as toolsDirectory.` },
    );
  }
  if (tool.major > server.major) {
    io.log(
      'warn',
      `pg_dump is of version ${tool.text}, newer than the server (${server.version}): a server of that version may be needed to restore. ` +
        `Install the client tools of PostgreSQL ${server.major}`,
    );
  }
  return tool.major;
}

async function chooseDatabases(
  server: PostgresServer,
  settings: PostgresSourceSettings,
  request: BackupRequest,
): Promise<ChosenDatabase[]> {
  const foreign = request.databases.filter((name) => !settings.databases.includes(name));
  if (foreign.length > 0) {
    throw new AppError('INVALID', `back up ${quoted(foreign)}: not among the databases configured for this source`, {
      hint: `Configured are ${quoted(settings.databases)}.`,
    });
  }
  const names = request.databases.length === 0 ? settings.databases : [...new Set(request.databases)];
  const present = await server.databases();
  const missing = names.filter((name) => present.get(name) === undefined);
  if (missing.length > 0) {
    throw new AppError(
      'NOT_FOUND',
      `back up ${quoted(missing)}: no such database on the PostgreSQL server at ${server.address}`,
      {
        hint: 'Correct the name in the configuration of the agent, or restore the database if it is lost.',
      },
    );
  }
  const chosen: ChosenDatabase[] = [];
  for (const name of names) {
    const leftOut = await readLeftOut(server, name, settings.excludeDataOf);
    chosen.push({ name, leftOut, sizes: await readSizes(server, name, leftOut) });
  }
  return chosen;
}

function tellLeftOut({ name, leftOut: { tables, needed } }: ChosenDatabase, io: SourceIo): void {
  const some = (labels: readonly string[]) => labels.join(', ').slice(0, 500);
  if (tables.length > 0) {
    const labels = tables.map((table) => `${table.schema}.${table.name}`);
    io.log('info', `${name}: the data of ${tables.length} tables are left out: ${some(labels)}`);
  }
  if (needed.length > 0) {
    io.log('warn', `${name}: the data of ${some(needed)} are kept: data of this backup refer to them by foreign keys`);
  }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ');
}
