/** The restore of PostgreSQL databases and the configuration beside them, in its phases. */
import { join } from 'node:path';
import { z } from 'zod';
import { assertNever } from '#common/assert-never.ts';
import { diskTime } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { checkPlacement, removeStaged, stagePlacement } from '../configuration/placement.ts';
import type { PreparedRestore, RestoreRequest, SourceIo } from '../source.ts';
import { commitStaged } from './commit.ts';
import { createDatabase } from './database.ts';
import { startDependants, stopDependants } from './dependants.ts';
import { decodeFacts } from './facts.ts';
import { databasePaths } from './layout.ts';
import { loadDatabase, readKept } from './load.ts';
import type { Kept, Loaded } from './load.ts';
import { besideName } from './names.ts';
import { orWarn } from './or-warn.ts';
import { OF_EXTENSION, OWN_RELATIONS } from './own-relations.ts';
import { selectRestore } from './select.ts';
import type { DatabaseTarget } from './select.ts';
import { openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { describeStaged, removeLeftovers, removeRoles, stageRoles, systemIdentifier } from './stage.ts';
import { encodeUndo, switchSteps } from './staged.ts';
import type { Staged } from './staged.ts';
import { dropDatabase } from './switch.ts';
import type { StagedDatabase } from './switch.ts';
import { canKeepTablespaces } from './tablespaces.ts';
import { undoStaged } from './undo.ts';

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
  const staged: Staged = {
    system: server === undefined ? null : await systemIdentifier(server),
    databases: [],
    placements: [],
    roles: [],
    inPlace: selection.inPlace,
  };
  const loaded = new Map<string, { kept: Kept; loaded: Loaded }>();
  /** Names of databases that this restore made, or was making. */
  const created: string[] = [];
  let state: State = 'staging';
  let dependantsStopped = false;

  return {
    async stage(unpacked) {
      if (server !== undefined) {
        for (const target of selection.databases) await stageDatabase(server, target, unpacked);
      }
      for (const { from, to } of selection.placements) {
        io.log('info', `staging ${to}`);
        staged.placements.push(await stagePlacement(join(unpacked, from), to, time, io.signal));
      }
    },

    async switchOver(saveUndo) {
      state = 'switching';
      await saveUndo(encodeUndo(staged));
      if (staged.inPlace) {
        dependantsStopped = true;
        await stopDependants(settings, io);
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
      if (staged.inPlace) await startDependants(settings, io);
      return lines;
    },

    async commit() {
      state = 'ended';
      await commitStaged(staged, steady, io);
    },

    async rollBack() {
      await undoStaged(staged, settings, { ...io, signal: new AbortController().signal }, clock, dependantsStopped);
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

  async function stageDatabase(on: PostgresServer, { kept, target }: DatabaseTarget, unpacked: string): Promise<void> {
    await removeLeftovers(on, target, io);
    const paths = databasePaths(unpacked, prefix, kept.directory);
    const content = await readKept(paths);
    staged.roles.push(...(await stageRoles(on, content.roles, io)));
    const name = besideName(target, 'new', time);
    io.log('info', `restoring the database ${kept.name} as ${name}`);
    created.push(name);
    const tablespaces = await canKeepTablespaces(on, content.properties, io);
    const create = createDatabase(content.properties, name, on.major, tablespaces ? content.properties.tablespace : null);
    // Not to be cut off: the server would finish it after the clean-up had looked for it.
    const sure = on.under(new AbortController().signal);
    await sure.execute(on.maintenanceDatabase, `create the database ${name}`, [create]);
    io.signal.throwIfAborted();
    staged.databases.push(await describeStaged(on, target, name, besideName(target, 'old', time)));
    const options = { kept: content, paths, name, tablespaces, jobs: settings.jobs, expectedBytes: kept.bytes };
    loaded.set(target, { kept: content, loaded: await loadDatabase(on, options, io, clock) });
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
        'tables', (select count(*) ${OWN_RELATIONS} and c.relkind in ('r', 'p') and not ${OF_EXTENSION}))
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
