/** Where the database is, and how connections to it behave. The password comes from a file of mode 600 and from nowhere else. */
import { readFile } from 'node:fs/promises';
import { TypeOverrides, types } from 'pg';
import type { PoolConfig } from 'pg';
import { AppError, toAppError } from '#common/errors.ts';
import { readPrivateFile, readSecret } from '#common/secrets.ts';

export interface PostgresOptions {
  /** `postgresql://user@host:port/database`, instead of the four. */
  readonly url?: string | undefined;
  /** A name, an address, or the directory of a Unix socket. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  /** Not needed where the server asks for none. */
  readonly passwordFile?: string | undefined;
  /** Files. Must be given unless the server is on this machine. */
  readonly tls?: { readonly ca: string; readonly cert?: string | undefined; readonly key?: string | undefined } | undefined;
  /** After this the server ends a transaction whose controller was paused or lost within it, so that another can lead. */
  readonly idleInTransactionMs?: number | undefined;
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** A statement of ours takes milliseconds: what takes this long does not come back. */
const STATEMENT_MS = 10_000;

const parsers = new TypeOverrides();
parsers.setTypeParser(types.builtins.INT8, wholeNumber);

/** @throws AppError INVALID */
export async function poolConfig(options: PostgresOptions): Promise<{ name: string; config: PoolConfig }> {
  const { passwordFile, tls, idleInTransactionMs = 5000 } = options;
  const place = placeOf(options);
  const name = `${place.user}@${place.host}:${place.port}/${place.database}`;
  if (tls === undefined && !isLocal(place.host)) {
    throw new AppError('INVALID', `the catalogue ${name} is on another machine, and no TLS is configured for it`, {
      hint: "Name the file with the certificate of the server's CA: tls.ca.",
    });
  }
  // Read now, so that a wrong file is told at once; and for each connection, so that it can be changed.
  if (passwordFile !== undefined) await readSecret(passwordFile);
  const password = async () => {
    if (passwordFile !== undefined) return readSecret(passwordFile);
    throw new AppError('INVALID', `the catalogue ${name} asks for a password`, { hint: 'Name a passwordFile of mode 600.' });
  };
  return {
    name,
    config: {
      ...place,
      password,
      ssl: tls === undefined ? false : await readTls(tls),
      max: 8,
      application_name: 'holdfast controller',
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      // Longer than the server's, so that it is the server who ends a statement while the line holds.
      query_timeout: STATEMENT_MS + 5000,
      statement_timeout: STATEMENT_MS,
      lock_timeout: STATEMENT_MS / 2,
      idle_in_transaction_session_timeout: idleInTransactionMs,
      // On the disk, and on that of a synchronous standby where there is one, before it is answered.
      options: '-c synchronous_commit=on',
      types: parsers,
    },
  };
}

function placeOf({ url, host, port, user, database }: PostgresOptions): Place {
  if (url === undefined) {
    if (host === undefined || user === undefined || database === undefined) {
      throw new AppError('INVALID', 'the catalogue on PostgreSQL needs a url, or host, user and database');
    }
    return { host, port: port ?? 5432, user, database };
  }
  if ([host, port, user, database].some((each) => each !== undefined)) {
    throw new AppError('INVALID', 'the catalogue on PostgreSQL has a url and parts of one');
  }
  const parsed = URL.parse(url);
  const part = (text: string) => decodeURIComponent(text);
  if (
    parsed === null ||
    !['postgres:', 'postgresql:'].includes(parsed.protocol) ||
    parsed.search !== '' ||
    parsed.password !== ''
  ) {
    throw new AppError('INVALID', 'the url of the catalogue is not of the form postgresql://user@host:port/database', {
      hint: parsed?.password
        ? 'Take the password out of it, and name a passwordFile of mode 600.'
        : 'Everything else is a setting of its own.',
    });
  }
  const found = {
    host: part(parsed.hostname).replace(/^\[(.*)\]$/, '$1'),
    user: part(parsed.username),
    database: part(parsed.pathname.slice(1)),
  };
  if (Object.values(found).includes(''))
    throw new AppError('INVALID', 'the url of the catalogue lacks the user, the host or the database');
  return { ...found, port: parsed.port === '' ? 5432 : Number(parsed.port) };
}

function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.');
}

async function readTls({ ca, cert, key }: NonNullable<PostgresOptions['tls']>) {
  const read = async (path: string) => {
    try {
      return await readFile(path);
    } catch (error) {
      throw toAppError(error, `read the certificate ${path}`);
    }
  };
  return {
    ca: await read(ca),
    ...(cert !== undefined && { cert: await read(cert) }),
    ...(key !== undefined && { key: await readPrivateFile(key) }),
    rejectUnauthorized: true,
  };
}

/** Counts, numbers of rows and epoch milliseconds: all far below 2^53, and never silently wrong. Sizes stand in the records. */
function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new AppError('DAMAGED', `the catalogue holds ${text}, which is no number of ours`);
  return value;
}
