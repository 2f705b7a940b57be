/** OMS: the cluster manager's database, the data of alarm tables left out, its configuration files, and our own catalogue. */
import { z } from 'zod';
import { leavingCatalogue, withCatalogue } from './catalogue/with-catalogue.ts';
import { configurationPaths } from './configuration/settings.ts';
import { ALARM_TABLES, tablePattern } from './postgres/exclude.ts';
import { absolutePath, connectionShape, databaseName, toolShape } from './postgres/settings.ts';
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
  /** The controller's SQLite on this node: kept with it, never put back by a restore. */
  catalogue: absolutePath.optional(),
  ...toolShape,
  /** A command that stops what depends on OMS before a restore switches, and one that starts it again. */
  beforeRestore: command.optional(),
  afterRestore: command.optional(),
});
export type OmsSettings = z.infer<typeof omsSettingsSchema>;

export function createOmsSource(settings: OmsSettings): Source {
  const { name, excludeDataOf, ...connection } = settings.database;
  const source = createPostgresSource('OMS', 'oms', {
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
  const { catalogue } = settings;
  return leavingCatalogue(catalogue === undefined ? source : withCatalogue(source, catalogue));
}
