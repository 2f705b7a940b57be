/**
 * mTLS, the only way in: TLS 1.3, both sides with a certificate of our own CA, whose subject names the node (CN) and its role (OU).
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import type { DetailedPeerCertificate, PeerCertificate, SecureContextOptions } from 'node:tls';
import { ServerCredentials, credentials } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { AppError, toAppError } from './errors.ts';
import { readPrivateFile } from './secrets.ts';

// grpc-js has no option for it: nothing in this product speaks anything older.
tls.DEFAULT_MIN_VERSION = 'TLSv1.3';

export const PEER_ROLES = ['controller', 'agent', 'admin'] as const;
export type PeerRole = (typeof PEER_ROLES)[number];

export interface Peer {
  /** The node's name. */
  readonly name: string;
  readonly role: PeerRole;
}

/** PEM contents. */
export interface TlsFiles {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws AppError naming the file: missing, or a key that others may read. */
export async function loadCredentials(paths: { ca: string; cert: string; key: string }): Promise<TlsFiles> {
  const read = async (path: string, what: string) => {
    try {
      return await readFile(path);
    } catch (error) {
      throw toAppError(error, `read the ${what} ${path}`);
    }
  };
  const files = {
    ca: await read(paths.ca, 'CA certificate'),
    cert: await read(paths.cert, 'certificate'),
    key: await readPrivateFile(paths.key),
  };
  try {
    tls.createSecureContext(files);
  } catch (error) {
    throw new AppError('INVALID', `the key ${paths.key} and the certificate ${paths.cert} do not work together`, {
      cause: error,
      hint: 'Use the files that `holdfast init` made for this node.',
    });
  }
  return files;
}

/** When a certificate ends, in epoch milliseconds. */
export function certificateEnds(pem: Buffer): number {
  return new X509Certificate(pem).validToDate.getTime();
}

/** For a server that asks every client for a certificate, and for its clients. */
export function tlsOptions(files: TlsFiles): SecureContextOptions & { requestCert: true; rejectUnauthorized: true } {
  return { ...files, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true };
}

export function grpcServerCredentials(files: TlsFiles): ServerCredentials {
  return ServerCredentials.createSsl(files.ca, [{ cert_chain: files.cert, private_key: files.key }], true);
}

/** For clients of the controller. An agent's certificate serves its vault: it must not pass for the controller on the same host. */
export function grpcChannelCredentials(files: TlsFiles): ChannelCredentials {
  return credentials.createSsl(files.ca, files.key, files.cert, { checkServerIdentity: controllerFault });
}

function controllerFault(host: string, certificate: PeerCertificate): Error | undefined {
  const wrongHost = tls.checkServerIdentity(host, certificate);
  if (wrongHost !== undefined) return wrongHost;
  try {
    const { name, role } = peerIdentity(certificate);
    return role === 'controller'
      ? undefined
      : new AppError('FORBIDDEN', `${host} is answered by ${name} (${role}), not by a controller`);
  } catch (error) {
    return toAppError(error, `look at the certificate of ${host}`);
  }
}

/** Who is on the other side, by the certificate that TLS has verified. @throws AppError UNAUTHENTICATED */
export function peerIdentity(certificate: PeerCertificate | DetailedPeerCertificate | undefined): Peer {
  const { CN: name, OU: role } = certificate?.subject ?? {};
  const known = PEER_ROLES.find((candidate) => candidate === role);
  if (typeof name !== 'string' || name === '' || known === undefined) {
    throw new AppError('UNAUTHENTICATED', 'the certificate of the other side names no node or no role of this product');
  }
  return { name, role: known };
}
