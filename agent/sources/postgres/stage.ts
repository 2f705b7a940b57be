/** Builds what a restored database needs beside what is there: roles that are missing, and the database under a name of its own. */
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import type { SourceIo } from '../source.ts';
import { isBesideName } from './names.ts';
import { orWarn } from './or-warn.ts';
import { quoteIdentifier } from './quote.ts';
import { createMissingRoles, existingRoles } from './roles.ts';
import type { Roles } from './roles.ts';
import type { PostgresServer } from './server.ts';
import { dropDatabase } from './switch.ts';
import type { StagedDatabase } from './switch.ts';

/** The restore of another source may create the same role at the same moment. */
const CREATE_ATTEMPTS = 3;

/** Creates the roles that are missing, all or none. Gives their names. */
export async function stageRoles(server: PostgresServer, kept: Roles, io: SourceIo): Promise<string[]> {
  const doing = 'create the missing roles';
  for (let attempt = 1; ; attempt++) {
    const existing = await existingRoles(server);
    const missing = kept.roles.map(({ name }) => name).filter((name) => !existing.has(name));
    if (missing.length === 0) return [];
    io.log('info', `${doing} ${missing.join(', ')}`);
    // The server's log must not get the password hashes.
    const quiet = ["SET log_statement = 'none'", "SET log_min_error_statement = 'panic'"];
    const create = ['BEGIN', ...createMissingRoles(kept, existing, server.major), 'COMMIT'];
    try {
      await server.execute(server.maintenanceDatabase, doing, [...quiet, ...create]);
      return missing;
    } catch (error) {
      const failure = toAppError(error, doing);
      if (failure.code !== 'TOOL' || attempt === CREATE_ATTEMPTS) throw failure;
    }
  }
}

/** One that came into use meanwhile stays, and is told. */
export async function removeRoles(roles: readonly string[], server: PostgresServer, io: SourceIo): Promise<void> {
  for (const role of roles.toReversed()) {
    const doing = `remove the role ${role}, which the restore had created`;
    const drop = `DROP ROLE IF EXISTS ${quoteIdentifier(role)}`;
    await orWarn(io, doing, () => server.execute(server.maintenanceDatabase, doing, [drop]));
  }
}

/** What a restore that died in the middle of staging left. */
export async function removeLeftovers(server: PostgresServer, target: string, io: SourceIo): Promise<void> {
  for (const name of (await server.databases()).keys()) {
    if (!isBesideName(name, target, 'new')) continue;
    io.log('warn', `removing the database ${name}, which a restore that died left`);
    await dropDatabase(server, name);
  }
}

/** The number that initdb gave the server. */
export async function systemIdentifier(server: PostgresServer): Promise<string> {
  const sql = 'select to_json(system_identifier::text) from pg_control_system();';
  return server.query(server.maintenanceDatabase, 'ask for the system identifier', sql, z.string());
}

/** What the switch and its undoing must know of the new database `newName` and of the one it shall replace. */
export async function describeStaged(
  server: PostgresServer,
  target: string,
  newName: string,
  oldName: string,
): Promise<StagedDatabase> {
  const present = await server.databases();
  const made = present.get(newName);
  if (made === undefined) throw new AppError('FAILED', `create the database ${newName}: it is gone again`);
  const replaced = present.get(target);
  const old = replaced === undefined ? null : { name: oldName, oid: replaced.oid, allowsConnections: replaced.allowsConnections };
  return { name: target, newName, newOid: made.oid, old };
}
