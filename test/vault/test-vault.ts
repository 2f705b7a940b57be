/** A vault on a directory of its own, with certificates and grants, for tests. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, createGrantKeys, issueCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { signGrant } from '#common/grant.ts';
import type { Grant } from '#common/grant.ts';
import { pino } from 'pino';
import type { PeerRole, TlsFiles } from '#common/tls.ts';
import { openVaultTarget } from '../../agent/targets/vault-target.ts';
import { startVault } from '../../agent/vault/vault.ts';
import type { VaultLimits } from '../../agent/vault/space.ts';

export const never: AbortSignal = new AbortController().signal;
export const PREFIX = 'default_20260101000000/OMS_20260102000000/';

const now = systemClock.now();
const authority = await createAuthority({ commonName: 'test CA', days: 1, now });
export const otherAuthority = await createAuthority({ commonName: 'other CA', days: 1, now });
const grantKeys = createGrantKeys();
const grantKey = createPrivateKey(grantKeys.privatePem);
const grantPublicKey = createPublicKey(grantKeys.publicPem);

export async function certificateOf(commonName: string, role: PeerRole = 'agent', by = authority): Promise<TlsFiles> {
  const { certPem, keyPem } = await issueCertificate(by, { commonName, role, hosts: ['127.0.0.1'], days: 1, now });
  return { ca: Buffer.from(authority.certPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
}

const client = await certificateOf('dn1');

export function grant(changes: Partial<Grant> = {}, key = grantKey): string {
  return signGrant(
    {
      agent: 'dn1',
      vault: 'mn1',
      run: 'r1',
      attempt: 1,
      verbs: ['put', 'get', 'list', 'delete'],
      prefixes: [PREFIX],
      expiresMs: systemClock.now() + 600_000,
      ...changes,
    },
    key,
  );
}

export interface TestVaultOptions {
  readonly node?: string;
  readonly directory?: string;
  readonly limits?: Partial<VaultLimits>;
  readonly silenceMs?: number;
  readonly graceMs?: number;
}

export async function openTestVault({ node = 'mn1', directory, limits, silenceMs, graceMs = 0 }: TestVaultOptions = {}) {
  const own = directory ?? (await mkdtemp(join(tmpdir(), 'holdfast-vault-')));
  const start = async () =>
    startVault({
      directory: join(own, 'LocalBackup'),
      listen: { host: '127.0.0.1', port: 0 },
      tls: await certificateOf(node),
      nodeName: node,
      grantPublicKey,
      limits: { capBytes: 600n * 10n ** 9n, minimumFreeBytes: 0n, ...limits },
      windowBytes: 8 * 2 ** 20,
      clock: systemClock,
      log: pino({ level: 'silent' }),
      graceMs,
      ...(silenceMs === undefined ? {} : { silenceMs }),
    });
  let vault = await start();
  return {
    node,
    directory: join(own, 'LocalBackup'),
    get url() {
      return vault.url;
    },
    space: () => vault.space(),
    open: (options: { grant?: string; tls?: TlsFiles; url?: string; silenceMs?: number; expect?: string } = {}) =>
      openVaultTarget({
        node: options.expect ?? node,
        url: options.url ?? vault.url,
        grant: options.grant ?? grant({ vault: node }),
        tls: options.tls ?? client,
        windowBytes: 8 * 2 ** 20,
        signal: never,
        ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
      }),
    async restart() {
      await vault.stop();
      vault = await start();
    },
    stop: () => vault.stop(),
    async [Symbol.asyncDispose]() {
      await vault.stop();
      if (directory === undefined) await rm(own, { recursive: true, force: true });
    },
  };
}
