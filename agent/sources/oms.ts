/** OMS: the cluster manager's database, the data of alarm tables left out, and its configuration files. */
import { z } from 'zod';
import { configurationPaths } from './configuration/settings.ts';
import { ALARM_TABLES, tablePattern } from './postgres/exclude.ts';
import { connectionShape, databaseName, toolShape } from './postgres/settings.ts';
import { createPostgresSource } from './postgres/source.ts';
import type { Source } from './source.ts';

const command = z.array(z.string().min(1)).min(1);

export const omsSettingsSchema = z.strictObject({
  database: z
    .strictObject({
      ...connectionShape,
      name: databaseName,
      /** Tables ("schema.table", with wildcards) whose data are left out. */
      excludeDataOf: z.array(tablePattern).default(ALARM_TABLES),
    })
    .refine(({ name, maintenanceDatabase }) => name !== maintenanceDatabase, {
      message: 'the database cannot be its own maintenanceDatabase: it is renamed from there',
      path: ['maintenanceDatabase'],
    }),
  /** Files and directories, absolute. */
  configuration: configurationPaths.default([]),
  ...toolShape,
  /** A command that stops what depends on OMS before a restore switches, and one that starts it again. */
  beforeRestore: command.optional(),
  afterRestore: command.optional(),
});
export type OmsSettings = z.infer<typeof omsSettingsSchema>;

export function createOmsSource(settings: OmsSettings): Source {
  const { name, excludeDataOf, ...connection } = settings.database;
  return createPostgresSource('OMS', 'oms', {
    connection,
    databases: [name],
    excludeDataOf,
    configuration: settings.configuration,
    jobs: settings.jobs,
    timeoutMs: settings.timeout,
    toolsDirectory: settings.toolsDirectory,
    beforeRestore: settings.beforeRestore === undefined ? [] : [settings.beforeRestore],
    afterRestore: settings.afterRestore === undefined ? [] : [settings.afterRestore],
  });
}
