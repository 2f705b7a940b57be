/**
 * Puts a restored database in the place of another by renaming both. A database keeps its oid under every name, so its
 * place can be told whatever moment a death cut the renames off.
 */
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { APPLICATION_NAME } from './server.ts';
import type { PostgresServer } from './server.ts';

export const stagedDatabaseSchema = z.strictObject({
  /** The name it shall have. */
  name: z.string(),
  /** The new state's name until the switch. */
  newName: z.string(),
  newOid: z.int(),
  /** The replaced state, and its name from the switch until the commit; null: there was none. */
  old: z.strictObject({ name: z.string(), oid: z.int(), allowsConnections: z.boolean() }).nullable(),
});
export type StagedDatabase = z.infer<typeof stagedDatabaseSchema>;

/** How often a rename is tried while sessions that had begun to log in are going away; the server waits 5 s each time. */
const RENAME_ATTEMPTS = 3;

/** How often it is looked whether a session that was ended is gone, five times a second. */
const ORPHAN_LOOKS = 50;

/** Each leaves a state that undoDatabase understands. */
export function databaseSteps(server: PostgresServer, staged: StagedDatabase): (() => Promise<void>)[] {
  const { name, newName, old } = staged;
  const replace = old === null ? [] : [() => closeDatabase(server, name), () => renameDatabase(server, name, old.name)];
  return [...replace, () => renameDatabase(server, newName, name)];
}

/** The old database back under its name, from wherever the steps were cut off; the new one is dropped. Repeatable. */
export async function undoDatabase(server: PostgresServer, staged: StagedDatabase): Promise<void> {
  const { name, newName, newOid, old } = staged;
  await endOrphans(server, [name, newName, ...(old === null ? [] : [old.name])]);
  if ((await nameOf(server, newOid)) === name) {
    await closeDatabase(server, name);
    await renameDatabase(server, name, newName);
  }
  if (old !== null) await putBack(server, name, old);
  await dropStaged(server, staged);
}

/** A statement goes on in the server when the agent that sent it is gone: it must not rename behind our back. */
async function endOrphans(server: PostgresServer, names: readonly string[]): Promise<void> {
  const doing = `end what a restore that died had begun at ${names.join(', ')}`;
  const ours = names.map((name) => `position(${quoteLiteral(`ALTER DATABASE ${quoteIdentifier(name)} `)} in query) = 1`);
  const end = `select to_json(count(pg_terminate_backend(pid))) from pg_stat_activity
    where application_name = ${quoteLiteral(APPLICATION_NAME)} and state = 'active' and (${ours.join(' or ')});`;
  for (let look = 1; (await server.query(server.maintenanceDatabase, doing, end, z.int())) > 0; look++) {
    if (look === ORPHAN_LOOKS) throw new AppError('FAILED', `${doing}: it does not end`);
    await server.execute(server.maintenanceDatabase, doing, ['SELECT pg_sleep(0.2)']);
  }
}

async function putBack(server: PostgresServer, name: string, old: NonNullable<StagedDatabase['old']>): Promise<void> {
  const present = await nameOf(server, old.oid);
  if (present === undefined) {
    throw new AppError(
      'UNKNOWN_STATE',
      `put back the database ${name}: the old one (oid ${old.oid}) is gone from ${server.address}`,
    );
  }
  if (present !== name) {
    if ((await server.databases()).has(name)) {
      throw new AppError('UNKNOWN_STATE', `put back the database ${name}: another took its name; the old one is ${present}`, {
        hint: `Look at ${name}, rename it, then rename ${present} to ${name} and allow connections to it.`,
      });
    }
    await renameDatabase(server, present, name);
  }
  if (old.allowsConnections) {
    await server.execute(server.maintenanceDatabase, `open the database ${name}`, [
      `ALTER DATABASE ${quoteIdentifier(name)} ALLOW_CONNECTIONS true`,
    ]);
  }
}

async function dropStaged(server: PostgresServer, staged: StagedDatabase): Promise<void> {
  // Under any other name it is not ours any more: somebody gave it that name.
  if ((await nameOf(server, staged.newOid)) === staged.newName) await dropDatabase(server, staged.newName);
}

export async function commitDatabase(server: PostgresServer, { old }: StagedDatabase): Promise<void> {
  if (old !== null && (await nameOf(server, old.oid)) === old.name) await dropDatabase(server, old.name);
}

export async function dropDatabase(server: PostgresServer, name: string): Promise<void> {
  // From version 13 on it ends the sessions itself; and one whose drop was cut off before cannot be closed, only dropped.
  const force = server.major >= 13;
  if (!force) await closeDatabase(server, name);
  const drop = `DROP DATABASE ${quoteIdentifier(name)}${force ? ' WITH (FORCE)' : ''}`;
  await server.execute(server.maintenanceDatabase, `drop the database ${name}`, [drop]);
}

async function nameOf(server: PostgresServer, oid: number): Promise<string | undefined> {
  return [...(await server.databases()).values()].find((entry) => entry.oid === oid)?.name;
}

/** Nobody comes in any more, and who is in goes: neither a rename nor a drop works otherwise. */
async function closeDatabase(server: PostgresServer, name: string): Promise<void> {
  await server.execute(server.maintenanceDatabase, `close the database ${name}`, [
    `ALTER DATABASE ${quoteIdentifier(name)} ALLOW_CONNECTIONS false`,
    endSessions(name),
  ]);
}

function endSessions(name: string): string {
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${quoteLiteral(name)} AND pid <> pg_backend_pid()`;
}

async function renameDatabase(server: PostgresServer, from: string, to: string): Promise<void> {
  const doing = `rename the database ${from} to ${to}`;
  const rename = `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
  for (let attempt = 1; ; attempt++) {
    try {
      await server.execute(server.maintenanceDatabase, doing, [endSessions(from), rename]);
      return;
    } catch (error) {
      const failure = toAppError(error, doing);
      if (failure.code !== 'TOOL' || attempt === RENAME_ATTEMPTS) throw failure;
    }
  }
}
