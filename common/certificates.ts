/** The CA of a Holdfast and the certificates of its nodes, as `holdfast init` makes them. The role stands in the subject (OU). */
import 'reflect-metadata';
import { generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { isIP } from 'node:net';
import { dateOf } from './clock.ts';
import type { PeerRole } from './tls.ts';

export interface KeyAndCertificate {
  readonly certPem: string;
  /** PKCS #8. Goes into a file of mode 600. */
  readonly keyPem: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
/** Clocks of nodes differ: a certificate is good from a while before it was made. */
const BACKDATED_MS = 3_600_000;

/** `now` in epoch milliseconds. */
export async function createAuthority(options: { commonName: string; days: number; now: number }): Promise<KeyAndCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validity(options),
    serialNumber: serial(),
    name: [{ CN: [options.commonName] }],
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: certificate.toString('pem'), keyPem: await privatePem(keys.privateKey) };
}

export interface Issue {
  /** The node's name; what the other side compares with who it expects. */
  readonly commonName: string;
  readonly role: PeerRole;
  /** Host names and addresses under which it is reached. */
  readonly hosts: readonly string[];
  readonly days: number;
  readonly now: number;
}

export async function issueCertificate(authority: KeyAndCertificate, issue: Issue): Promise<KeyAndCertificate> {
  const issuer = new X509Certificate(authority.certPem);
  const issuerKey = await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.keyPem), ALGORITHM, false, [
    'sign',
  ]);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const names = [...new Set(issue.hosts)].map((value) => ({
    type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
    value,
  }));
  const certificate = await X509CertificateGenerator.create({
    ...validity(issue),
    serialNumber: serial(),
    subject: [{ CN: [issue.commonName] }, { OU: [issue.role] }],
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: issuerKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      // An agent is a client of the controller and of vaults, and a server where it holds one.
      new ExtendedKeyUsageExtension(
        issue.role === 'admin' ? [ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
      ),
      ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certPem: certificate.toString('pem'), keyPem: await privatePem(keys.privateKey) };
}

/** The Ed25519 pair that grants are signed with: the controller holds the private half, vaults the public one. */
export function createGrantKeys(): { privatePem: string; publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

function validity({ days, now }: { days: number; now: number }): { notBefore: Date; notAfter: Date } {
  return { notBefore: dateOf(now - BACKDATED_MS), notAfter: dateOf(now + days * DAY_MS) };
}

function serial(): string {
  // A leading zero bit keeps the number positive, as X.509 asks.
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('hex');
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
