import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import tls from 'node:tls';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, createGrantKeys, issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { openGrant, permits, signGrant } from '#common/grant.ts';
import type { Grant } from '#common/grant.ts';
import { peerIdentity, tlsOptions } from '#common/tls.ts';

const now = systemClock.now();
const filesOf = (authority: KeyAndCertificate, own: KeyAndCertificate) => ({
  ca: Buffer.from(authority.certPem),
  cert: Buffer.from(own.certPem),
  key: Buffer.from(own.keyPem),
});
let authority: KeyAndCertificate;
let stranger: KeyAndCertificate;
let node: KeyAndCertificate;

beforeAll(async () => {
  authority = await createAuthority({ commonName: 'test CA', days: 1, now });
  stranger = await createAuthority({ commonName: 'test CA', days: 1, now });
  node = await issueCertificate(authority, { commonName: 'n1', role: 'agent', hosts: ['127.0.0.1', 'n1.example'], days: 1, now });
});

/** What the server sees of a client, or the words of the refusal. */
async function meet(client: tls.ConnectionOptions): Promise<string> {
  const server = tls.createServer({ ...filesOf(authority, node), ...tlsOptions(filesOf(authority, node)) });
  const seen = new Promise<string>((resolve) => {
    server.on('secureConnection', (socket) => resolve(JSON.stringify(peerIdentity(socket.getPeerCertificate()))));
    server.on('tlsClientError', (error) => resolve(`refused: ${error.message}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = tls.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ...client });
  const refused = new Promise<string>((resolve) => socket.on('error', (error) => resolve(`refused: ${error.message}`)));
  const result = await Promise.race([seen, refused]);
  socket.destroy();
  server.close();
  return result;
}

describe('a certificate', () => {
  test('names its node and role, and is good for its hosts only', () => {
    const certificate = new X509Certificate(node.certPem);
    expect(certificate.checkIssued(new X509Certificate(authority.certPem))).toBe(true);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkHost('n1.example')).toBe('n1.example');
    expect(certificate.checkHost('n2.example')).toBeUndefined();
  });

  test('lets a node in that this CA knows', async () => {
    expect(await meet(tlsOptions(filesOf(authority, node)))).toBe('{"name":"n1","role":"agent"}');
  });

  test('of another CA is refused', async () => {
    const other = await issueCertificate(stranger, { commonName: 'n1', role: 'agent', hosts: [], days: 1, now });
    expect(await meet({ ...tlsOptions(filesOf(authority, other)), rejectUnauthorized: false })).toMatch(/^refused/);
  });

  test('that is missing is refused', async () => {
    expect(await meet({ ca: authority.certPem })).toMatch(/^refused/);
  });

  test('that has expired is refused', async () => {
    const old = await issueCertificate(authority, {
      commonName: 'n1',
      role: 'agent',
      hosts: [],
      days: 1,
      now: now - 3 * 86_400_000,
    });
    expect(await meet(tlsOptions(filesOf(authority, old)))).toMatch(/^refused/);
  });

  test('with TLS 1.2 is refused', async () => {
    expect(await meet({ ...tlsOptions(filesOf(authority, node)), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).toMatch(
      /^refused/,
    );
  });
});

describe('a grant', () => {
  const keys = createGrantKeys();
  const privateKey = createPrivateKey(keys.privatePem);
  const publicKey = createPublicKey(keys.publicPem);
  const grant: Grant = {
    agent: 'n1',
    vault: 'm1',
    run: 'r',
    attempt: 1,
    verbs: ['put'],
    prefixes: ['t_1/OMS_2/'],
    expiresMs: 1000,
  };

  test('opens what it names and nothing else', () => {
    const opened = openGrant(signGrant(grant, privateKey), publicKey, 999);
    expect(permits(opened, 'put', 't_1/OMS_2/x')).toBe(true);
    expect(permits(opened, 'get', 't_1/OMS_2/x')).toBe(false);
    expect(permits(opened, 'put', 't_1/OMS_20/x')).toBe(false);
  });

  test('is refused when it has expired', () => {
    expect(() => openGrant(signGrant(grant, privateKey), publicKey, 1000)).toThrow('expired');
  });

  test('is refused when it was altered, signed by another, or is no grant', () => {
    const token = signGrant(grant, privateKey);
    const [body, signature] = token.split('.');
    const altered = Buffer.from(JSON.stringify({ ...grant, agent: 'n2' })).toString('base64url');
    expect(() => openGrant(`${altered}.${signature}`, publicKey, 0)).toThrow('not signed by this controller');
    expect(() => openGrant(token, createPublicKey(createGrantKeys().publicPem), 0)).toThrow('not signed');
    expect(() => openGrant(`${body}`, publicKey, 0)).toThrow('not a grant');
  });
});
