/** The part of a restore's plan that the PostgreSQL server tells. */
import { z } from 'zod';
import { toAppError } from '#common/errors.ts';
import { statOrMissing } from '../configuration/tree.ts';
import { addNeed } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { SourceIo } from '../source.ts';
import type { PostgresFacts } from './facts.ts';
import { isBesideName } from './names.ts';
import { quoteLiteral } from './quote.ts';
import { existingRoles } from './roles.ts';
import type { DatabaseTarget, Selection } from './select.ts';
import { openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';

export async function lookAtServer(
  facts: PostgresFacts,
  selection: Selection,
  settings: PostgresSourceSettings,
  io: SourceIo,
  found: Findings,
): Promise<void> {
  try {
    const server = await openServer(settings, io.signal);
    await lookAtVersions(server, facts, found);
    const data = await dataDirectory(server, settings);
    const bytes = selection.databases.reduce((sum, { kept }) => sum + kept.bytes, 0n);
    if (data !== undefined) await addNeed(found, data, bytes);
    const missing = await missingRoles(server, selection.databases);
    if (missing.length > 0) found.steps.push(`create the missing roles ${missing.join(', ')}`);
    for (const target of selection.databases) await lookAtDatabase(server, target, settings, found);
  } catch (error) {
    // A plan shows everything that stands in the way; a server that is down is one of the things.
    const failure = toAppError(error, 'look at the PostgreSQL server');
    if (failure.code === 'STOPPED') throw failure;
    found.refusals.push(`${failure.message} (${failure.hint})`);
  }
}

async function lookAtVersions(server: PostgresServer, facts: PostgresFacts, { refusals, warnings }: Findings): Promise<void> {
  if (server.standby) refusals.push(`the server at ${server.address} is a standby: restore on its primary`);
  if (!server.superuser) {
    refusals.push(`the user ${server.user} is no superuser of ${server.address}: databases and roles of others cannot be made`);
  }
  if (server.major < facts.serverMajor) {
    refusals.push(
      `the server at ${server.address} is of version ${server.version}, the backup of the newer ${facts.serverVersion}`,
    );
  }
  const tool = await server.toolVersion('pg_restore');
  if (tool.major < facts.dumpMajor) {
    refusals.push(`pg_restore is of version ${tool.text}, the backup was made by pg_dump ${facts.dumpMajor}`);
  } else if (tool.major > server.major) {
    warnings.push(
      `pg_restore is of version ${tool.text}, newer than the server (${server.version}), which may refuse what it says; that would be before the switch`,
    );
  }
}

async function lookAtDatabase(
  server: PostgresServer,
  { kept, target, inPlace }: DatabaseTarget,
  settings: PostgresSourceSettings,
  found: Findings,
): Promise<void> {
  const present = await server.databases();
  const exists = present.has(target);
  found.steps.push(`restore the database ${kept.name} beside what is there, and compare it with its dump`);
  for (const name of present.keys()) {
    if (!isBesideName(name, target, 'old')) continue;
    found.warnings.push(`an earlier restore left the replaced database ${name}: drop it when it is not wanted`);
  }
  if (!exists) {
    found.steps.push(`give it the name ${target}`);
    return;
  }
  if (!inPlace) {
    found.refusals.push(`a database ${target} exists already: choose another name, or drop it`);
    return;
  }
  found.steps.push(`put it in the place of ${target}`);
  found.overwrites.push(`database ${target}`);
  const use = await usage(server, target);
  if (use.prepared > 0) found.refusals.push(`${target} has ${use.prepared} prepared transactions: commit or roll them back`);
  if (use.slots.length > 0) found.refusals.push(`${target} has the replication slots ${use.slots.join(', ')}: drop them`);
  if (use.subscriptions.length > 0) {
    found.refusals.push(`${target} has the subscriptions ${use.subscriptions.join(', ')}: drop them`);
  }
  if (use.sessions > 0 && settings.beforeRestore.length === 0) {
    found.mustBeStopped.push(
      `what is connected to ${target} (${use.sessions} sessions: ${use.applications.join(', ')}); sessions still there are ended`,
    );
  }
}

async function usage(server: PostgresServer, database: string) {
  const name = quoteLiteral(database);
  return server.query(
    server.maintenanceDatabase,
    `look at who uses the database ${database}`,
    `select json_build_object(
      'sessions', (select count(*) from pg_stat_activity where datname = ${name}),
      'applications', (select coalesce(json_agg(distinct coalesce(nullif(application_name, ''), usename, 'unnamed')), '[]')
        from pg_stat_activity where datname = ${name}),
      'prepared', (select count(*) from pg_prepared_xacts where database = ${name}),
      'slots', (select coalesce(json_agg(slot_name), '[]') from pg_replication_slots where database = ${name}),
      'subscriptions', (select coalesce(json_agg(s.subname), '[]') from pg_subscription s
        join pg_database d on d.oid = s.subdbid where d.datname = ${name}));`,
    z.object({
      sessions: z.number(),
      applications: z.array(z.string()),
      prepared: z.number(),
      slots: z.array(z.string()),
      subscriptions: z.array(z.string()),
    }),
  );
}

async function missingRoles(server: PostgresServer, targets: readonly DatabaseTarget[]): Promise<string[]> {
  const existing = await existingRoles(server);
  return [...new Set(targets.flatMap(({ kept }) => kept.roles))].filter((name) => !existing.has(name));
}

/** Known only where the server runs on this node. */
async function dataDirectory(server: PostgresServer, settings: PostgresSourceSettings): Promise<string | undefined> {
  const { host } = settings.connection;
  if (!['localhost', '127.0.0.1', '::1'].includes(host) && !host.startsWith('/')) return undefined;
  if (!server.superuser) return undefined;
  const sql = `select to_json(current_setting('data_directory'));`;
  const directory = await server.query(server.maintenanceDatabase, 'ask for the data directory', sql, z.string());
  return (await statOrMissing(directory)) === undefined ? undefined : directory;
}
