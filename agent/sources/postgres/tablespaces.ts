/** Whether a restored database can lie where the kept one lay. */
import { z } from 'zod';
import type { SourceIo } from '../source.ts';
import type { KeptDatabase } from './database.ts';
import type { PostgresServer } from './server.ts';

/** All of them or none: with some of them missing, everything goes into the server's default tablespace, and that is told. */
export async function canKeepTablespaces(server: PostgresServer, kept: KeptDatabase, io: SourceIo): Promise<boolean> {
  if (kept.tablespaces.length === 0) return true;
  const sql = `select coalesce(json_agg(spcname), '[]') from pg_tablespace;`;
  const present = await server.query(server.maintenanceDatabase, 'list the tablespaces', sql, z.array(z.string()));
  const missing = kept.tablespaces.filter((name) => !present.includes(name));
  if (missing.length === 0) return true;
  io.log('warn', `the server has no tablespace ${missing.join(', ')}: all of ${kept.name} goes into the default one`);
  return false;
}
