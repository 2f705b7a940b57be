/** One authority for all histories of a test: keys are slow to make. */
import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, createGrantKeys, issueCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import type { PeerRole, TlsFiles } from '#common/tls.ts';

export interface Certificates extends AsyncDisposable {
  readonly paths: (name: string) => { ca: string; cert: string; key: string };
  readonly admin: TlsFiles;
  readonly grantSigningKey: string;
  readonly grantPublicKey: ReturnType<typeof createPublicKey>;
}

export async function makeCertificates(nodes: readonly string[]): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-model-tls-'));
  const now = systemClock.now();
  // TLS looks at the machine's own clock. Histories move their time of day by days, and none is about certificates that end soon.
  const days = 3650;
  const authority = await createAuthority({ commonName: 'a history', days, now });
  const grants = createGrantKeys();
  const at = (name: string) => join(directory, name);
  const issue = async (name: string, role: PeerRole) => {
    const made = await issueCertificate(authority, { commonName: name, role, hosts: ['127.0.0.1'], days, now });
    await writeFile(at(`${name}.crt`), made.certPem);
    await writeFile(at(`${name}.key`), made.keyPem, { mode: 0o600 });
    return made;
  };
  await writeFile(at('ca.crt'), authority.certPem);
  await writeFile(at('grant.key'), grants.privatePem, { mode: 0o600 });
  await issue('controller', 'controller');
  for (const node of nodes) await issue(node, 'agent');
  const admin = await issue('operator', 'admin');
  return {
    paths: (name) => ({ ca: at('ca.crt'), cert: at(`${name}.crt`), key: at(`${name}.key`) }),
    admin: { ca: Buffer.from(authority.certPem), cert: Buffer.from(admin.certPem), key: Buffer.from(admin.keyPem) },
    grantSigningKey: at('grant.key'),
    grantPublicKey: createPublicKey(grants.publicPem),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
