/** LdapServer: users, groups, password policies and keys, held by OpenLDAP. */
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { removeStagedBefore } from './configuration/placement.ts';
import { prepareLdapBackup } from './ldap/backup.ts';
import { decodeFacts } from './ldap/facts.ts';
import { allPlaces, placesOf } from './ldap/places.ts';
import { planLdapRestore } from './ldap/plan.ts';
import { prepareLdapRestore } from './ldap/restore.ts';
import { slapdService } from './ldap/service.ts';
import type { LdapServerSettings } from './ldap/settings.ts';
import { commitCutOff, undoSwitch } from './service-switch.ts';
import type { Source } from './source.ts';

export { ldapServerSettingsSchema } from './ldap/settings.ts';

export function createLdapServerSource(settings: LdapServerSettings, clock: Clock = systemClock): Source {
  return {
    name: 'LdapServer',
    prepareBackup: (_request, io) => prepareLdapBackup(settings, io),
    planRestore: (request, io) => planLdapRestore(settings, request, io),
    prepareRestore: (request, io) => Promise.resolve(prepareLdapRestore(settings, request, io, clock)),
    undoRestore: (undo, io) => undoSwitch(slapdService(settings), undo, io),
    commitRestore: (undo, io) => commitCutOff(undo, io),
    async removeStaged({ facts, directory }) {
      const of = decodeFacts(facts);
      for (const place of allPlaces(placesOf(settings, of, directory), of)) await removeStagedBefore(place);
    },
  };
}
