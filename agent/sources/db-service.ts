/** DBService: the metadata databases of components (Hive's metastore, Hue, Oozie, …). */
import { z } from 'zod';
import { connectionShape, databaseName, toolShape } from './postgres/settings.ts';
import { createPostgresSource } from './postgres/source.ts';
import type { Source } from './source.ts';

export const dbServiceSettingsSchema = z
  .strictObject({ ...connectionShape, databases: z.array(databaseName).min(1), ...toolShape })
  .superRefine(({ databases, maintenanceDatabase }, context) => {
    if (new Set(databases).size < databases.length) context.addIssue('a database is named twice');
    if (databases.includes(maintenanceDatabase)) {
      context.addIssue('maintenanceDatabase cannot be among the databases: they are renamed from there');
    }
  });
export type DbServiceSettings = z.infer<typeof dbServiceSettingsSchema>;

export function createDbServiceSource(settings: DbServiceSettings): Source {
  const { databases, jobs, timeout, toolsDirectory, ...connection } = settings;
  return createPostgresSource('DBService', 'dbservice', {
    connection,
    databases,
    excludeDataOf: [],
    configuration: [],
    jobs,
    timeoutMs: timeout,
    toolsDirectory,
    beforeRestore: [],
    afterRestore: [],
  });
}
