/** Puts back what a restore had switched: in the same process when it failed, in another after a death. */
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { undoPlacement } from '../configuration/placement.ts';
import type { SourceIo, UndoRecord } from '../source.ts';
import { startDependants, stopDependants } from './dependants.ts';
import { orWarn } from './or-warn.ts';
import { removeRoles, systemIdentifier } from './stage.ts';
import { openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { decodeUndo } from './staged.ts';
import type { Staged } from './staged.ts';
import { undoDatabase } from './switch.ts';

/** How long the server that must be put back is waited for, and how often it is asked. */
const SERVER_START_MS = 300_000;
const SERVER_RETRY_MS = 5000;

export async function undoPostgresRestore(
  settings: PostgresSourceSettings,
  undo: UndoRecord,
  io: SourceIo,
  clock: Clock,
): Promise<void> {
  const staged = decodeUndo(undo);
  await undoStaged(staged, settings, io, clock, staged.inPlace);
}

export async function undoStaged(
  staged: Staged,
  settings: PostgresSourceSettings,
  io: SourceIo,
  clock: Clock,
  /** Whether what depends on it was stopped, or may have been. */
  dependants: boolean,
): Promise<void> {
  if (dependants) {
    // They may be half started. What they cannot be stopped from must not keep the old state from coming back.
    await orWarn(io, 'stop what depends on it', () => stopDependants(settings, io));
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
  if (staged.system !== null) {
    await attempt('put the databases back', async () => {
      const server = await openPatiently(settings, io, clock);
      await requireSameServer(server, staged);
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
    await orWarn(io, 'start what depends on it', () => startDependants(settings, io));
  }
}

/** It may be starting: after a power cut, or after the failure that is being undone. */
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

/** Databases are known by their oids, and those of another server mean nothing here. */
export async function requireSameServer(server: PostgresServer, staged: Staged): Promise<void> {
  if ((await systemIdentifier(server)) === staged.system) return;
  throw new AppError('UNKNOWN_STATE', `put the databases back: the server at ${server.address} is not the one they were on`, {
    hint: 'Let the configuration of the agent name that server, or put the databases back by hand.',
  });
}
