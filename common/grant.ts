/**
 * A grant opens a part of a vault to one agent for one attempt of one run, for a short time. The controller signs it, vaults
 * check it: no node reads or deletes another's backups, and an attempt that was given up is fenced.
 * Form: base64url(JSON) "." base64url(Ed25519 signature of the first part).
 */
import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { AppError } from './errors.ts';

export const VERBS = ['put', 'get', 'list', 'delete'] as const;
export type Verb = (typeof VERBS)[number];

const schema = z
  .strictObject({
    /** Node name of the agent that may use it: must be that of its certificate. */
    agent: z.string().min(1),
    /** Node name of the vault it opens. */
    vault: z.string().min(1),
    run: z.string().min(1),
    attempt: z.int().positive(),
    verbs: z.array(z.enum(VERBS)).min(1),
    /** Keys must begin with one of these. Each ends in '/'; the empty one opens all of a vault, for reading only. */
    prefixes: z.array(z.string().regex(/^$|^[^/].*\/$/)).min(1),
    expiresMs: z.int().positive(),
  })
  .refine(({ prefixes, verbs }) => !prefixes.includes('') || !(verbs.includes('put') || verbs.includes('delete')), {
    error: 'a grant that opens all of a vault neither writes nor deletes',
  });

export type Grant = z.infer<typeof schema>;

export function signGrant(grant: Grant, key: KeyObject): string {
  const body = Buffer.from(JSON.stringify(schema.parse(grant))).toString('base64url');
  return `${body}.${sign(null, Buffer.from(body), key).toString('base64url')}`;
}

/** @throws AppError FORBIDDEN when forged, malformed or expired. */
export function openGrant(token: string, publicKey: KeyObject, nowMs: number): Grant {
  const refuse = (why: string) =>
    new AppError('FORBIDDEN', `the grant was refused: ${why}`, { hint: 'Run the task again; check the clocks of the nodes.' });
  const [body, signature, ...rest] = token.split('.');
  if (body === undefined || signature === undefined || rest.length > 0) throw refuse('not a grant');
  if (!verify(null, Buffer.from(body), publicKey, Buffer.from(signature, 'base64url')))
    throw refuse('not signed by this controller');
  const grant = schema.parse(JSON.parse(Buffer.from(body, 'base64url').toString()));
  if (nowMs >= grant.expiresMs) throw refuse('expired');
  return grant;
}

export function permits(grant: Grant, verb: Verb, key: string): boolean {
  return grant.verbs.includes(verb) && grant.prefixes.some((prefix) => key.startsWith(prefix));
}
