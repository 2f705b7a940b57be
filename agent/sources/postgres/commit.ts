/** The end of a restore: what it has replaced goes. And that of one whose agent died: what it had staged goes. */
import { commitPlacement, removeStagedBefore } from '../configuration/placement.ts';
import type { RestoreRequest, SourceIo, UndoRecord } from '../source.ts';
import { decodeFacts } from './facts.ts';
import { orWarn } from './or-warn.ts';
import { selectRestore } from './select.ts';
import { openServer } from './server.ts';
import type { PostgresServer } from './server.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { removeLeftovers } from './stage.ts';
import { decodeUndo } from './staged.ts';
import type { Staged } from './staged.ts';
import { commitDatabase } from './switch.ts';
import { requireSameServer } from './undo.ts';

/** The new state is in place and whole: an old one that cannot be removed is told, and no failure. */
export async function commitStaged(
  { databases, placements }: Staged,
  server: PostgresServer | undefined,
  io: SourceIo,
): Promise<void> {
  if (server !== undefined) {
    for (const database of databases) {
      await orWarn(io, `drop the replaced database ${database.old?.name}`, () => commitDatabase(server, database));
    }
  }
  for (const placed of placements) {
    await orWarn(io, `remove the replaced ${placed.old}`, () => commitPlacement(placed));
  }
}

export async function commitPostgresRestore(settings: PostgresSourceSettings, undo: UndoRecord, io: SourceIo): Promise<void> {
  const staged = decodeUndo(undo);
  const server = staged.system === null ? undefined : await openServer(settings, io.signal);
  // Another one's database of that oid is none of ours.
  if (server !== undefined) await requireSameServer(server, staged);
  await commitStaged(staged, server, io);
}

export async function removeStagedRestore(
  prefix: string,
  settings: PostgresSourceSettings,
  request: RestoreRequest,
  io: SourceIo,
): Promise<void> {
  const { databases, placements, refusals } = selectRestore(prefix, decodeFacts(request.facts), request, settings);
  // Then nothing was staged.
  if (refusals.length > 0) return;
  for (const { to } of placements) await removeStagedBefore(to);
  if (databases.length === 0) return;
  const server = await openServer(settings, io.signal);
  for (const { target } of databases) await removeLeftovers(server, target, io);
}
