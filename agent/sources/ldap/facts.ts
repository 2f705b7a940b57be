/** What the backup of slapd remembers for its restore; stands in the manifest. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { ownershipSchema } from '../ownership.ts';

const databaseSchema = z.strictObject({
  /** As slapcat -n counts. */
  number: z.int().positive(),
  suffix: z.string(),
  directory: z.string().regex(/^\//),
  entries: z.int().nonnegative(),
});

const factsSchema = z.strictObject({
  version: z.string(),
  /** Where the configuration was. */
  configDirectory: z.string(),
  databases: z.array(databaseSchema),
  /** Of each directory, at the backup. */
  owners: z.record(z.string(), ownershipSchema),
  /** What each took on the disk then; older backups do not say. */
  allocated: z
    .record(
      z.string(),
      z
        .string()
        .regex(/^\d{1,19}$/)
        .transform(BigInt),
    )
    .default({}),
  hasTls: z.boolean(),
});

export type LdapFacts = z.infer<typeof factsSchema>;
export type LdapDatabase = z.infer<typeof databaseSchema>;

export function encodeFacts(facts: LdapFacts): Record<string, string> {
  const allocated = Object.entries(facts.allocated).map(([directory, bytes]) => [directory, String(bytes)]);
  return { ldapServer: JSON.stringify({ ...facts, allocated: Object.fromEntries(allocated) }) };
}

/** @throws AppError DAMAGED */
export function decodeFacts(facts: Readonly<Record<string, string>>): LdapFacts {
  const parsed = factsSchema.safeParse(JSON.parse(facts['ldapServer'] ?? 'null'));
  if (!parsed.success)
    throw new AppError('DAMAGED', `the facts of the LdapServer backup cannot be read: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Names in the archive. */
export const layout = {
  root: 'ldapserver',
  config: 'ldapserver/config.ldif',
  database: (number: number) => `ldapserver/database-${number}.ldif`,
  tls: 'ldapserver/tls',
} as const;
