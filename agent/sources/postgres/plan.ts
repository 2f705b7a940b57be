/** What a restore would do, found by looking only. */
import { readdir, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { formatSize } from '#common/bytes.ts';
import { toAppError } from '#common/errors.ts';
import { leftoversOf } from '../configuration/placement.ts';
import { statOrMissing } from '../configuration/tree.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { decodeFacts } from './facts.ts';
import type { PostgresFacts } from './facts.ts';
import { isBesideName } from './names.ts';
import { quoteLiteral } from './quote.ts';
import { existingRoles } from './roles.ts';
import { selectRestore } from './select.ts';
import type { DatabaseTarget, Selection } from './select.ts';
import { openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';

/** The parts of a plan that several lookers add to. */
interface Findings {
  readonly steps: string[];
  readonly overwrites: string[];
  readonly mustBeStopped: string[];
  readonly refusals: string[];
  readonly warnings: string[];
  /** Every file system that is written to, by device. */
  readonly space: Map<bigint, Space>;
}

interface Space {
  /** A path on it, for messages. */
  readonly at: string;
  readonly freeBytes: bigint;
  neededBytes: bigint;
}

export async function planPostgresRestore(
  prefix: string,
  settings: PostgresSourceSettings,
  request: RestoreRequest,
  io: SourceIo,
): Promise<RestorePlan> {
  const facts = decodeFacts(request.facts);
  const selection = selectRestore(prefix, facts, request, settings);
  const found: Findings = {
    steps: [],
    overwrites: [],
    mustBeStopped: [],
    refusals: [...selection.refusals],
    warnings: [...selection.warnings],
    space: new Map(),
  };
  await need(found, io.workDirectory, request.contentBytes);
  if (selection.databases.length > 0) await lookAtServer(facts, selection, settings, io, found);
  for (const { to } of selection.placements) await lookAtPath(to, found);
  await lookAtPlacementSpace(facts, selection, found);
  await lookAtDirectory(request.directory, found);
  addHooks(selection, settings, found);

  const { neededBytes, freeBytes } = judgeSpace(found);
  const { steps, overwrites, mustBeStopped, refusals, warnings } = found;
  return { steps, overwrites, mustBeStopped, refusals, warnings, neededBytes, freeBytes };
}

/** The figures of the file system that is tightest. */
function judgeSpace(found: Findings): Pick<RestorePlan, 'neededBytes' | 'freeBytes'> {
  const spaces = [...found.space.values()].toSorted((a, b) =>
    a.freeBytes - a.neededBytes < b.freeBytes - b.neededBytes ? -1 : 1,
  );
  for (const { at, neededBytes, freeBytes } of spaces.filter((space) => space.neededBytes > space.freeBytes)) {
    found.refusals.push(`${formatSize(neededBytes)} are needed where ${at} lies, and ${formatSize(freeBytes)} are free`);
  }
  return { neededBytes: spaces[0]?.neededBytes ?? 0n, freeBytes: spaces[0]?.freeBytes ?? 0n };
}

async function lookAtServer(
  facts: PostgresFacts,
  selection: Selection,
  settings: PostgresSourceSettings,
  io: SourceIo,
  found: Findings,
): Promise<void> {
  try {
    const server = await openServer(settings, io.signal);
    found.refusals.push(...(await serverFaults(server, facts)));
    const data = await dataDirectory(server, settings);
    const bytes = selection.databases.reduce((sum, { kept }) => sum + kept.bytes, 0n);
    if (data !== undefined) await need(found, data, bytes);
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

async function serverFaults(server: PostgresServer, facts: PostgresFacts): Promise<string[]> {
  const faults: string[] = [];
  if (server.standby) faults.push(`the server at ${server.address} is a standby: restore on its primary`);
  if (!server.superuser) {
    faults.push(`the user ${server.user} is no superuser of ${server.address}: databases and roles of others cannot be made`);
  }
  if (server.major < facts.serverMajor) {
    faults.push(
      `the server at ${server.address} is of version ${server.version}, the backup of the newer ${facts.serverVersion}`,
    );
  }
  const tool = await server.toolVersion('pg_restore');
  if (tool.major < facts.dumpMajor) {
    faults.push(`pg_restore is of version ${tool.text}, the backup was made by pg_dump ${facts.dumpMajor}`);
  }
  return faults;
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
      'slots', (select coalesce(json_agg(slot_name), '[]') from pg_replication_slots where database = ${name}));`,
    z.object({
      sessions: z.number(),
      applications: z.array(z.string()),
      prepared: z.number(),
      slots: z.array(z.string()),
    }),
  );
}

async function missingRoles(server: PostgresServer, targets: readonly DatabaseTarget[]): Promise<string[]> {
  const existing = await existingRoles(server);
  return [...new Set(targets.flatMap(({ kept }) => kept.roles))].filter((name) => !existing.has(name));
}

async function lookAtPath(path: string, found: Findings): Promise<void> {
  const stat = await statOrMissing(path);
  const parent = await nearestExisting(dirname(path));
  found.steps.push(stat === undefined ? `write ${path}` : `replace ${path}`);
  if (stat !== undefined) {
    found.overwrites.push(path);
    if (stat.dev !== (await statOrMissing(parent))?.dev) {
      found.refusals.push(`${path} is a mount point and cannot be switched: restore into a directory and copy from there`);
    }
  }
  for (const old of await leftoversOf(path)) {
    found.warnings.push(`an earlier restore left the replaced ${old}: remove it when it is not wanted`);
  }
}

async function lookAtDirectory(directory: string | undefined, found: Findings): Promise<void> {
  if (directory === undefined) return;
  const stat = await statOrMissing(directory);
  if (stat === undefined) return;
  if (!stat.isDirectory()) found.refusals.push(`${directory} is no directory`);
  else if ((await readdir(directory)).length > 0) found.refusals.push(`the directory ${directory} is not empty`);
}

function addHooks(selection: Selection, settings: PostgresSourceSettings, found: Findings): void {
  if (found.overwrites.length === 0 && !selection.databases.some(({ inPlace }) => inPlace)) return;
  const shown = (command: readonly string[]) => `run: ${command.join(' ')}`;
  found.steps.unshift(...settings.beforeRestore.map((command) => `before the switch, ${shown(command)}`));
  found.steps.push(...settings.afterRestore.map((command) => `after the switch, ${shown(command)}`));
}

/** A staged copy lies beside each place. How the bytes spread over several file systems is not known, so each must hold all. */
async function lookAtPlacementSpace(facts: PostgresFacts, selection: Selection, found: Findings): Promise<void> {
  const loaded = new Set(selection.databases.map(({ kept }) => kept.name));
  const asDumps = facts.databases.filter(({ name }) => !loaded.has(name)).reduce((sum, { bytes }) => sum + bytes, 0n);
  const parents = new Map<bigint | undefined, string>();
  for (const { to } of selection.placements) {
    const parent = await nearestExisting(dirname(to));
    parents.set((await statOrMissing(parent))?.dev, parent);
  }
  const dumps = selection.placements.some(({ from }) => from.includes('/database/')) ? asDumps : 0n;
  for (const parent of parents.values()) await need(found, parent, facts.configurationBytes + dumps);
}

async function need(found: Findings, at: string, bytes: bigint): Promise<void> {
  const device = (await statOrMissing(at))?.dev ?? 0n;
  const { bavail, bsize } = await statfs(at, { bigint: true });
  const space = found.space.get(device) ?? { at, freeBytes: bavail * bsize, neededBytes: 0n };
  space.neededBytes += bytes;
  found.space.set(device, space);
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

async function nearestExisting(path: string): Promise<string> {
  let at = path;
  while (at !== '/' && (await statOrMissing(at)) === undefined) at = dirname(at);
  return at;
}
