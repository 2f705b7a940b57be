/** The restore of PostgreSQL databases and the configuration beside them, in its phases; and how it is undone after a death. */
import { join } from 'node:path';
import { z } from 'zod';
import { assertNever } from '#common/assert-never.ts';
import { diskTime } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import {
  checkPlacement,
  commitPlacement,
  placedSchema,
  placementSteps,
  removeStaged,
  stagePlacement,
  undoPlacement,
} from '../configuration/placement.ts';
import { runTool } from '../../tool.ts';
import type { PreparedRestore, RestoreRequest, SourceIo, UndoRecord } from '../source.ts';
import { createDatabase } from './database.ts';
import { decodeFacts } from './facts.ts';
import { databasePaths } from './layout.ts';
import { loadDatabase, readKept } from './load.ts';
import type { Kept, Loaded } from './load.ts';
import { besideName, isBesideName } from './names.ts';
import { quoteIdentifier } from './quote.ts';
import { createMissingRoles, existingRoles } from './roles.ts';
import { selectRestore } from './select.ts';
import type { DatabaseTarget } from './select.ts';
import { openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { commitDatabase, databaseSteps, dropDatabase, stagedDatabaseSchema, undoDatabase } from './switch.ts';
import type { StagedDatabase } from './switch.ts';

/** All that was staged, as JSON: with it another process can put the old state back. */
const stagedSchema = z.strictObject({
  databases: z.array(stagedDatabaseSchema),
  placements: z.array(placedSchema),
  /** Roles that this restore created; they go again when it is undone. */
  roles: z.array(z.string()),
  /** Whether something in use is replaced, so that what depends on it is stopped and started. */
  inPlace: z.boolean(),
});
export type Staged = z.infer<typeof stagedSchema>;

/** How long a restarted agent waits for the server that it must put back, and how often it asks. */
const SERVER_START_MS = 300_000;
const SERVER_RETRY_MS = 5000;

type State = 'staging' | 'switching' | 'ended';

export async function preparePostgresRestore(
  prefix: string,
  settings: PostgresSourceSettings,
  request: RestoreRequest,
  io: SourceIo,
  clock: Clock,
): Promise<PreparedRestore> {
  const facts = decodeFacts(request.facts);
  const selection = selectRestore(prefix, facts, request, settings);
  if (selection.refusals.length > 0) throw new AppError('REFUSED', `restore ${prefix}: ${selection.refusals.join('; ')}`);
  const server = selection.databases.length > 0 ? await openServer(settings, io.signal) : undefined;
  // Clean-up and roll back go on when the run was stopped.
  const steady = server?.under(new AbortController().signal);
  const time = diskTime(clock.now());
  const staged: Staged = { databases: [], placements: [], roles: [], inPlace: false };
  const loaded = new Map<string, { kept: Kept; loaded: Loaded }>();
  /** Names of databases that this restore made, or was making. */
  const created: string[] = [];
  let state: State = 'staging';
  let dependantsStopped = false;

  return {
    async stage(unpacked) {
      if (server !== undefined) {
        await stageRoles(server, unpacked);
        for (const target of selection.databases) await stageDatabase(server, target, unpacked);
      }
      for (const { from, to } of selection.placements) {
        io.log('info', `staging ${to}`);
        staged.placements.push(await stagePlacement(join(unpacked, from), to, time, io.signal));
      }
      staged.inPlace = staged.databases.some(({ old }) => old !== null) || staged.placements.some(({ old }) => old !== null);
    },

    async switchOver(saveUndo) {
      state = 'switching';
      await saveUndo({ staged: JSON.stringify(staged) });
      if (staged.inPlace) {
        dependantsStopped = true;
        await runHooks('stop what depends on it', settings.beforeRestore, settings, io);
      }
      for (const step of switchSteps(staged, server)) {
        io.signal.throwIfAborted();
        await step();
      }
    },

    async check() {
      const lines: string[] = [];
      for (const database of staged.databases) lines.push(await checkDatabase(database));
      for (const placed of staged.placements) lines.push(await checkPlacement(placed));
      if (staged.inPlace) await runHooks('start what depends on it', settings.afterRestore, settings, io);
      return lines;
    },

    async commit() {
      state = 'ended';
      // The new state is in place and whole: an old one that cannot be removed is told, and no failure.
      if (steady !== undefined) {
        for (const database of staged.databases) {
          await orWarn(io, `drop the replaced database ${database.old?.name}`, () => commitDatabase(steady, database));
        }
      }
      for (const placed of staged.placements) {
        await orWarn(io, `remove the replaced ${placed.old}`, () => commitPlacement(placed));
      }
    },

    async rollBack() {
      const open = steady === undefined ? undefined : () => Promise.resolve(steady);
      await undoStaged(staged, open, settings, { ...io, signal: new AbortController().signal }, dependantsStopped);
      state = 'ended';
    },

    async [Symbol.asyncDispose]() {
      switch (state) {
        case 'staging':
          return removeAllStaged();
        case 'switching':
        // Neither committed nor rolled back: nothing may be removed that could be the only copy.
        case 'ended':
          return undefined;
        default:
          return assertNever(state);
      }
    },
  };

  async function stageRoles(on: PostgresServer, unpacked: string): Promise<void> {
    for (const { kept } of selection.databases) {
      const { roles } = await readKept(databasePaths(unpacked, prefix, kept.directory));
      const existing = await existingRoles(on);
      const missing = roles.roles.map(({ name }) => name).filter((name) => !existing.has(name));
      if (missing.length === 0) continue;
      io.log('info', `creating the missing roles ${missing.join(', ')}`);
      staged.roles.push(...missing);
      const statements = ["SET log_statement = 'none'", "SET log_min_error_statement = 'panic'"];
      await on.execute(on.maintenanceDatabase, 'create the missing roles', [
        ...statements,
        ...createMissingRoles(roles, existing, on.major),
      ]);
    }
  }

  async function stageDatabase(on: PostgresServer, { kept, target }: DatabaseTarget, unpacked: string): Promise<void> {
    const present = await on.databases();
    for (const leftover of [...present.keys()].filter((name) => isBesideName(name, target, 'new'))) {
      io.log('warn', `removing ${leftover}, which a restore that died left`);
      await dropDatabase(on, leftover);
    }
    const paths = databasePaths(unpacked, prefix, kept.directory);
    const content = await readKept(paths);
    const name = besideName(target, 'new', time);
    io.log('info', `restoring the database ${kept.name} as ${name}`);
    created.push(name);
    await on.execute(on.maintenanceDatabase, `create the database ${name}`, [createDatabase(content.properties, name, on.major)]);
    staged.databases.push(await describeStaged(on, target, name));
    const options = { kept: content, paths, name, jobs: settings.jobs, expectedBytes: kept.bytes };
    loaded.set(target, { kept: content, loaded: await loadDatabase(on, options, io, clock) });
  }

  async function describeStaged(on: PostgresServer, target: string, newName: string): Promise<StagedDatabase> {
    const present = await on.databases();
    const made = present.get(newName);
    if (made === undefined) throw new AppError('FAILED', `create the database ${newName}: it is gone again`);
    const replaced = present.get(target);
    const old =
      replaced === undefined
        ? null
        : { name: besideName(target, 'old', time), oid: replaced.oid, allowsConnections: replaced.allowsConnections };
    return { name: target, newName, newOid: made.oid, old };
  }

  async function checkDatabase(database: StagedDatabase): Promise<string> {
    const { name, newOid } = database;
    const content = loaded.get(name);
    if (server === undefined || content === undefined) throw new AppError('BUG', `check ${name}: it was never staged`);
    const doing = `check the database ${name}`;
    const found = await server.query(
      name,
      doing,
      `select json_build_object('oid', d.oid::bigint, 'owner', pg_get_userbyid(d.datdba),
        'tables', (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'))
        from pg_database d where d.datname = current_database();`,
      z.object({ oid: z.int(), owner: z.string(), tables: z.int() }),
    );
    const { owner } = content.kept.properties;
    if (found.oid !== newOid) throw new AppError('FAILED', `${doing}: it is not the one that was restored`);
    if (found.owner !== owner) throw new AppError('FAILED', `${doing}: it belongs to ${found.owner} instead of ${owner}`);
    if (found.tables < content.loaded.tables) {
      throw new AppError('FAILED', `${doing}: ${found.tables} tables are there instead of ${content.loaded.tables}`);
    }
    return `database ${name}: ${found.tables} tables and ${content.loaded.rows} rows as in the backup, owner ${owner}`;
  }

  /** Tells what it cannot remove instead of failing: the failure that led here is the one to be seen. */
  async function removeAllStaged(): Promise<void> {
    for (const placed of staged.placements.toReversed()) {
      await orWarn(io, `remove ${placed.staged}`, () => removeStaged(placed));
    }
    if (steady === undefined) return;
    for (const name of created.toReversed()) {
      await orWarn(io, `drop the database ${name}`, async () => {
        if ((await steady.databases()).has(name)) await dropDatabase(steady, name);
      });
    }
    await removeRoles(staged.roles, steady, io);
  }
}

/** In this order; undoStaged understands a cut after each. */
export function switchSteps(staged: Staged, server: PostgresServer | undefined): (() => Promise<void>)[] {
  return [
    ...(server === undefined ? [] : staged.databases.flatMap((database) => databaseSteps(server, database))),
    ...staged.placements.flatMap(placementSteps),
  ];
}

/** @throws AppError DAMAGED when the record is not one of ours */
export function decodeUndo(undo: UndoRecord): Staged {
  try {
    return stagedSchema.parse(JSON.parse(undo['staged'] ?? ''));
  } catch (error) {
    throw new AppError('DAMAGED', 'put the state before a restore back: the record of it cannot be read', { cause: error });
  }
}

export async function undoPostgresRestore(
  settings: PostgresSourceSettings,
  undo: UndoRecord,
  io: SourceIo,
  clock: Clock,
): Promise<void> {
  const staged = decodeUndo(undo);
  const open = () => openPatiently(settings, io, clock);
  const needed = staged.databases.length > 0 || staged.roles.length > 0;
  await undoStaged(staged, needed ? open : undefined, settings, io, staged.inPlace);
}

/** After a power cut the agent may be up before the server is. */
async function openPatiently(settings: PostgresSourceSettings, io: SourceIo, clock: Clock): Promise<PostgresServer> {
  const end = clock.monotonic() + SERVER_START_MS;
  for (;;) {
    try {
      return await openServer(settings, io.signal);
    } catch (error) {
      const failure = toAppError(error, 'connect to PostgreSQL');
      if (failure.code !== 'UNAVAILABLE' || clock.monotonic() >= end) throw failure;
      io.log('warn', `${failure.message}; trying again`);
      await clock.sleep(SERVER_RETRY_MS, io.signal);
    }
  }
}

async function undoStaged(
  staged: Staged,
  open: (() => Promise<PostgresServer>) | undefined,
  settings: PostgresSourceSettings,
  io: SourceIo,
  dependants: boolean,
): Promise<void> {
  if (dependants) {
    // They may be half started. What they cannot be stopped from must not keep the old state from coming back.
    await orWarn(io, 'stop what depends on it', () => runHooks('stop what depends on it', settings.beforeRestore, settings, io));
  }
  const failures: AppError[] = [];
  const attempt = async (what: string, act: () => Promise<void>) => {
    try {
      await act();
    } catch (error) {
      failures.push(toAppError(error, what));
    }
  };
  for (const placed of staged.placements.toReversed()) {
    await attempt(`put back ${placed.path}`, () => undoPlacement(placed));
  }
  if (open !== undefined) {
    await attempt('put the databases back', async () => {
      const server = await open();
      for (const database of staged.databases.toReversed()) {
        await attempt(`put back the database ${database.name}`, () => undoDatabase(server, database));
      }
      if (failures.length === 0) await removeRoles(staged.roles, server, io);
    });
  }
  const [first] = failures;
  if (first !== undefined) {
    const message = failures.map((failure) => failure.message).join('; ');
    throw new AppError(first.code, message, { cause: first, hint: first.hint });
  }
  if (dependants) {
    await orWarn(io, 'start what depends on it', () => runHooks('start what depends on it', settings.afterRestore, settings, io));
  }
}

async function runHooks(
  doing: string,
  commands: readonly (readonly string[])[],
  settings: PostgresSourceSettings,
  io: SourceIo,
): Promise<void> {
  for (const [command = '', ...args] of commands) {
    io.log('info', `${doing}: ${[command, ...args].join(' ')}`);
    await runTool({ doing, command, args, timeoutMs: settings.timeoutMs, signal: io.signal });
  }
}

/** One that came into use meanwhile stays, and is told. */
async function removeRoles(roles: readonly string[], server: PostgresServer, io: SourceIo): Promise<void> {
  for (const role of roles.toReversed()) {
    const doing = `remove the role ${role}, which the restore had created`;
    const drop = `DROP ROLE IF EXISTS ${quoteIdentifier(role)}`;
    await orWarn(io, doing, () => server.execute(server.maintenanceDatabase, doing, [drop]));
  }
}

async function orWarn(io: SourceIo, doing: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    io.log('warn', `${toAppError(error, doing).message}; do it by hand: ${doing}`);
  }
}
