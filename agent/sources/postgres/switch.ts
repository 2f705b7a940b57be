/**
 * Puts a restored database in the place of another by renaming both. A database keeps its oid under every name, so its
 * place can be told whatever moment a death cut the renames off.
 */
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
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

/** Each leaves a state that undoDatabase understands. */
export function databaseSteps(server: PostgresServer, staged: StagedDatabase): (() => Promise<void>)[] {
  const { name, newName, old } = staged;
  const replace = old === null ? [] : [() => closeDatabase(server, name), () => renameDatabase(server, name, old.name)];
  return [...replace, () => renameDatabase(server, newName, name)];
}

/** The old database back under its name, from wherever the steps were cut off; the new one is dropped. Repeatable. */
export async function undoDatabase(server: PostgresServer, staged: StagedDatabase): Promise<void> {
  const { name, newName, newOid, old } = staged;
  if ((await nameOf(server, newOid)) === name) {
    await closeDatabase(server, name);
    await renameDatabase(server, name, newName);
  }
  if (old !== null) await putBack(server, name, old);
  await dropStaged(server, staged);
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
  const present = await nameOf(server, staged.newOid);
  if (present !== undefined) await dropDatabase(server, present);
}

export async function commitDatabase(server: PostgresServer, { old }: StagedDatabase): Promise<void> {
  if (old !== null && (await nameOf(server, old.oid)) === old.name) await dropDatabase(server, old.name);
}

export async function dropDatabase(server: PostgresServer, name: string): Promise<void> {
  await closeDatabase(server, name);
  await server.execute(server.maintenanceDatabase, `drop the database ${name}`, [`DROP DATABASE ${quoteIdentifier(name)}`]);
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
