/**
 * Where things lie in the archive of a PostgreSQL source:
 *
 *   <prefix>/database/<name>/dump/…         pg_dump's directory format, uncompressed: the archive compresses
 *   <prefix>/database/<name>/database.json  owner, encoding, locale, grants, settings
 *   <prefix>/database/<name>/roles.json     the roles it needs
 *   <prefix>/database/<name>/roles.sql      the same for psql, for a restore by hand
 *   <prefix>/configuration/<absolute path>  configuration files
 */
import { join } from 'node:path';

export function databasePaths(root: string, prefix: string, directory: string) {
  const base = join(root, prefix, 'database', directory);
  return {
    base,
    dump: join(base, 'dump'),
    properties: join(base, 'database.json'),
    roles: join(base, 'roles.json'),
    script: join(base, 'roles.sql'),
  };
}

export function configurationPath(prefix: string, path: string): string {
  return `${prefix}/configuration${path}`;
}
