/** What an agent must know of the slapd on its node. */
import { z } from 'zod';
import { absolutePath, duration } from '../postgres/settings.ts';
import { commandSchema } from '../service-switch.ts';

export const ldapServerSettingsSchema = z.strictObject({
  /** slapd.d: the configuration (cn=config). */
  configDirectory: absolutePath,
  /** Keys and certificates of slapd. */
  tlsDirectory: absolutePath.optional(),
  /** Where slapd answers, to see whether it does. */
  url: z.string().regex(/^ldaps?:\/\/\S+$|^ldapi:\/\/\S*$/, 'must be an LDAP address: ldap://host:port'),
  /** Commands that return when it has stopped, and when it answers: a restore switches in between. */
  start: commandSchema,
  stop: commandSchema,
  /** Where slapcat and slapadd are. */
  toolsDirectory: absolutePath.default('/usr/sbin'),
  /** Of each tool. */
  timeout: duration.default(600_000),
});

export type LdapServerSettings = z.output<typeof ldapServerSettingsSchema>;
