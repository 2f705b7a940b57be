/** The sources that an agent can be configured with. A new SourceName is a compile error here until it is added. */
import { z } from 'zod';
import type { SourceName } from '#common/names.ts';
import { createDbServiceSource, dbServiceSettingsSchema } from './db-service.ts';
import { createLdapServerSource, ldapServerSettingsSchema } from './ldap-server.ts';
import { createNameNodeSource, nameNodeSettingsSchema } from './name-node.ts';
import { createOmsSource, omsSettingsSchema } from './oms.ts';
import type { Source } from './source.ts';

/** The part `sources` of agent.yaml; a node has those that it is configured for. */
export const sourcesSchema = z.strictObject({
  oms: omsSettingsSchema.optional(),
  ldapServer: ldapServerSettingsSchema.optional(),
  dbService: dbServiceSettingsSchema.optional(),
  nameNode: nameNodeSettingsSchema.optional(),
});
export type SourcesSettings = z.output<typeof sourcesSchema>;

export function createSources(settings: SourcesSettings): ReadonlyMap<SourceName, Source> {
  const { oms, ldapServer, dbService, nameNode } = settings;
  const all: Record<SourceName, Source | undefined> = {
    OMS: oms && createOmsSource(oms),
    LdapServer: ldapServer && createLdapServerSource(ldapServer),
    DBService: dbService && createDbServiceSource(dbService),
    NameNode: nameNode && createNameNodeSource(nameNode),
  };
  return new Map(Object.values(all).flatMap((source) => (source === undefined ? [] : [[source.name, source]])));
}
