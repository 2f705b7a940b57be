/** What the channels have in common in meeting a server that is not ours. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { AppError, toAppError } from '#common/errors.ts';

/**
 * Trusts `caFile` alone, or without one what Node trusts. Our own connections demand TLS 1.3 for the whole process (common/tls.ts); a mail relay of
 * others may have 1.2 at best, which is sound.
 */
export async function peerTls(caFile: string | undefined): Promise<SecureContextOptions> {
  if (caFile === undefined) return { minVersion: 'TLSv1.2' };
  let ca: Buffer;
  try {
    ca = await readFile(caFile);
  } catch (error) {
    throw toAppError(error, `read the CA ${caFile}`);
  }
  try {
    // TLS takes a file without a certificate in silence, and then trusts nobody.
    void new X509Certificate(ca);
  } catch (error) {
    throw new AppError('INVALID', `the CA ${caFile} is no certificate`, { cause: error, hint: 'Name a PEM file as `ca`.' });
  }
  return { minVersion: 'TLSv1.2', ca };
}

/** OpenSSL's verdicts on a certificate, and Node's on the name in it. Waiting will not change them; a person can. */
const CERTIFICATE_FAULTS = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'HOSTNAME_MISMATCH',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** @returns an error when the other side's certificate is the reason, however deep the library has wrapped it. */
export function certificateFault(caught: unknown, doing: string): AppError | undefined {
  for (let error = caught; error instanceof Error; error = error.cause) {
    const codes = [propertyOf(error, 'code'), propertyOf(error, 'originalCode')];
    if (!codes.some((code) => typeof code === 'string' && CERTIFICATE_FAULTS.has(code))) continue;
    return new AppError('UNAUTHENTICATED', `${doing}: the certificate of the server is not trusted: ${error.message}`, {
      cause: caught,
      hint: 'Name the CA that signed it as `ca`, or renew the certificate.',
    });
  }
  return undefined;
}

export function propertyOf(error: Error, name: string): unknown {
  return Object.getOwnPropertyDescriptor(error, name)?.value;
}
