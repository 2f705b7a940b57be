/** The `alarms:` section of controller.yaml: where notices of alarms go. Secrets are files of mode 600, read anew at each attempt. */
import { z } from 'zod';
import { duration } from '../../duration.ts';

/** Part of the name under which the queue keeps what waits: a renamed channel is a new one. */
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be of letters, digits, ".", "_" and "-", at most 63');
const host = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})$/, 'must be a host name or an address');
const port = z.int().min(1).max(65535);
const file = z.string().min(1);
const timeout = duration.refine((ms) => ms >= 100 && ms <= 300_000, 'must be between 100ms and 5m');
const mailAddress = z.email({ error: 'must be a mail address like oncall@example.org' });

const webhook = z
  .strictObject({
    name,
    url: z.url({ protocol: /^https?$/, error: 'must be a URL that begins with https:// or http://' }),
    /** The CA that signed the server's certificate, when it is not a public one. */
    ca: file.optional(),
    bearerTokenFile: file.optional(),
    timeout: timeout.default(10_000),
  })
  .refine(({ url, bearerTokenFile }) => bearerTokenFile === undefined || url.startsWith('https:'), {
    error: 'must be https when a token is sent',
    path: ['url'],
  });

const email = z
  .strictObject({
    name,
    host,
    port: port.default(587),
    /** `starttls`: refused when the relay does not offer it. `tls`: from the first byte (465). `none`: a relay on this machine. */
    security: z.enum(['starttls', 'tls', 'none']).default('starttls'),
    ca: file.optional(),
    login: z.strictObject({ user: z.string().min(1), passwordFile: file }).optional(),
    from: mailAddress,
    to: z
      .array(mailAddress)
      .min(1)
      .refine((to) => new Set(to).size === to.length, 'names an address twice'),
    timeout: timeout.default(30_000),
  })
  .refine(({ security, login }) => security !== 'none' || login === undefined, {
    error: 'must be starttls or tls when a password is sent',
    path: ['security'],
  });

const manager = { name, host, port: port.default(162), timeout: timeout.default(10_000) };
const snmp = z.discriminatedUnion('version', [
  z.strictObject({
    ...manager,
    version: z.literal('2c'),
    communityFile: file,
    /** `inform` is acknowledged, so a lost one is sent again; `trap` is for managers that take nothing else: what is lost is lost. */
    send: z.enum(['inform', 'trap']).default('inform'),
  }),
  z.strictObject({
    ...manager,
    /** authPriv, as informs: see snmp.ts for why no traps. */
    version: z.literal('3'),
    user: z.string().min(1).max(32),
    authentication: z.enum(['SHA', 'SHA-224', 'SHA-256', 'SHA-384', 'SHA-512']).default('SHA-256'),
    authenticationPasswordFile: file,
    /** AES is AES-128; the key of AES-256 is made as by Blumenthal (net-snmp) or Reeder (Cisco). */
    privacy: z.enum(['AES', 'AES-256-Blumenthal', 'AES-256-Reeder']).default('AES'),
    privacyPasswordFile: file,
  }),
]);

export const alarmsConfigSchema = z
  .strictObject({
    webhooks: z.array(webhook).default([]).describe('Told by HTTP, in the format of Alertmanager.'),
    email: z.array(email).default([]).describe('Told by mail.'),
    snmp: z.array(snmp).default([]).describe('Told by SNMP v2c or v3.'),
  })
  .superRefine((alarms, context) => {
    for (const kind of ['webhooks', 'email', 'snmp'] as const) {
      const seen = new Set<string>();
      for (const [index, channel] of alarms[kind].entries()) {
        if (seen.has(channel.name)) {
          context.addIssue({
            code: 'custom',
            path: [kind, index, 'name'],
            message: `${JSON.stringify(channel.name)} is there twice`,
          });
        }
        seen.add(channel.name);
      }
    }
  })
  .prefault({});

export type AlarmsConfig = z.infer<typeof alarmsConfigSchema>;
export type WebhookConfig = AlarmsConfig['webhooks'][number];
export type EmailConfig = AlarmsConfig['email'][number];
export type SnmpConfig = AlarmsConfig['snmp'][number];

/** With every file as `at` finds it: the paths may be relative to the configuration. */
export function atFiles({ webhooks, email: emails, snmp: managers }: AlarmsConfig, at: (path: string) => string): AlarmsConfig {
  return {
    webhooks: webhooks.map((hook) => ({
      ...hook,
      ...(hook.ca === undefined ? {} : { ca: at(hook.ca) }),
      ...(hook.bearerTokenFile === undefined ? {} : { bearerTokenFile: at(hook.bearerTokenFile) }),
    })),
    email: emails.map((mail) => ({
      ...mail,
      ...(mail.ca === undefined ? {} : { ca: at(mail.ca) }),
      ...(mail.login === undefined ? {} : { login: { ...mail.login, passwordFile: at(mail.login.passwordFile) } }),
    })),
    snmp: managers.map((to) =>
      to.version === '2c'
        ? { ...to, communityFile: at(to.communityFile) }
        : {
            ...to,
            authenticationPasswordFile: at(to.authenticationPasswordFile),
            privacyPasswordFile: at(to.privacyPasswordFile),
          },
    ),
  };
}
