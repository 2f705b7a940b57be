/**
 * SNMP, to one manager: v2c as inform or trap, v3 with authentication and privacy as inform. An inform is answered, so a lost one is known and
 * sent again. No v3 traps: their receiver checks the sender's clock and count of starts (RFC 3414), which the library always gives as 0; a correct
 * receiver drops every such trap that comes more than 150 s after the first, without a word.
 */
import { lookup } from 'node:dns/promises';
import snmp from 'net-snmp';
import type { Session } from 'net-snmp';
import { assertNever } from '#common/assert-never.ts';
import { withTimeout } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { readSecret } from '#common/secrets.ts';
import type { Channel } from './channel.ts';
import type { SnmpConfig } from './config.ts';
import { propertyOf } from './peer.ts';
import { snmpNotification } from './snmp-objects.ts';
import type { SnmpNotification } from './snmp-objects.ts';

/** Datagrams get lost: within one attempt an inform is sent up to three times. */
const SENT_TIMES = 3;

export function snmpChannel(config: SnmpConfig): Channel {
  return {
    name: `snmp/${config.name}`,
    deliver: async (notice, stopped) => {
      const doing = `notify the SNMP manager ${config.host}:${config.port}`;
      try {
        await send(config, snmpNotification(notice), withTimeout(config.timeout, stopped));
      } catch (error) {
        throw snmpError(error, doing, config);
      }
    },
  };
}

async function send(config: SnmpConfig, { oid, varbinds }: SnmpNotification, signal: AbortSignal): Promise<void> {
  const session = await openSession(config, signal);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    // A datagram that is no SNMP is reported here, and would otherwise end the process. The answer may still come.
    session.on('error', () => undefined);
    const answered = (error: Error | null) => (error === null ? resolve() : reject(error));
    if (config.version === '2c' && config.send === 'trap') session.trap(oid, varbinds, answered);
    else session.inform(oid, varbinds, answered);
    await promise.finally(() => signal.removeEventListener('abort', onAbort));
  } finally {
    session.close();
  }
}

async function openSession(config: SnmpConfig, signal: AbortSignal): Promise<Session> {
  const secrets = await readSecrets(config);
  const { address, family } = await resolveHost(config.host, signal);
  const options = {
    port: config.port,
    trapPort: config.port,
    transport: family === 6 ? ('udp6' as const) : ('udp4' as const),
    retries: SENT_TIMES - 1,
    timeout: Math.max(1, Math.floor(config.timeout / SENT_TIMES)),
    backoff: 1,
  };
  switch (secrets.version) {
    case '2c':
      return snmp.createSession(address, secrets.community, { ...options, version: snmp.Version2c });
    case '3':
      return snmp.createV3Session(address, secrets.user, options);
    default:
      return assertNever(secrets);
  }
}

const AUTHENTICATION = {
  SHA: snmp.AuthProtocols.sha,
  'SHA-224': snmp.AuthProtocols.sha224,
  'SHA-256': snmp.AuthProtocols.sha256,
  'SHA-384': snmp.AuthProtocols.sha384,
  'SHA-512': snmp.AuthProtocols.sha512,
} as const;

const PRIVACY = {
  AES: snmp.PrivProtocols.aes,
  'AES-256-Blumenthal': snmp.PrivProtocols.aes256b,
  'AES-256-Reeder': snmp.PrivProtocols.aes256r,
} as const;

async function readSecrets(config: SnmpConfig) {
  if (config.version === '2c') return { version: '2c' as const, community: await readSecret(config.communityFile) };
  return {
    version: '3' as const,
    user: {
      name: config.user,
      level: snmp.SecurityLevel.authPriv,
      authProtocol: AUTHENTICATION[config.authentication],
      authKey: await readPassword(config.authenticationPasswordFile),
      privProtocol: PRIVACY[config.privacy],
      privKey: await readPassword(config.privacyPasswordFile),
    },
  };
}

/** RFC 3414 asks for eight characters; receivers refuse fewer. */
async function readPassword(path: string): Promise<string> {
  const password = await readSecret(path);
  if (password.length >= 8) return password;
  throw new AppError('INVALID', `the SNMPv3 password in ${path} is shorter than 8 characters`);
}

/** The library's own look-up cannot be cut short and hides what failed. */
async function resolveHost(host: string, signal: AbortSignal): Promise<{ address: string; family: number }> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([lookup(host), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function snmpError(caught: unknown, doing: string, config: SnmpConfig): AppError {
  if (caught instanceof AppError || !(caught instanceof Error)) return toAppError(caught, doing);
  if (propertyOf(caught, 'code') === snmp.ResponseInvalidCode.EAuthFailure) {
    return new AppError('UNAUTHENTICATED', `${doing}: the manager does not accept user or password: ${caught.message}`, {
      cause: caught,
      hint: 'Compare user, protocols and both passwords with those of the manager; test with: holdfast alarm test',
    });
  }
  if (caught.name === 'RequestTimedOutError' || caught.name === 'TimeoutError') {
    // A manager drops what it does not accept without an answer, so it looks the same as one that is down.
    const also = config.version === '2c' ? 'the community' : 'the privacy password';
    return new AppError('TIMEOUT', `${doing}: no answer`, {
      cause: caught,
      hint: `Check that the manager runs and takes informs, and that ${also} is right.`,
    });
  }
  const error = toAppError(caught, doing);
  return error.code === 'FAILED' || error.code === 'NOT_FOUND'
    ? new AppError('UNAVAILABLE', error.message, { cause: caught })
    : error;
}
