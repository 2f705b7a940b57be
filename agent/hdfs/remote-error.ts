/** What HDFS says of a failure, in our words: by the name of its exception, never by its text. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import type { ErrorCode } from '#common/errors.ts';

const remoteException = z.object({ RemoteException: z.object({ exception: z.string(), message: z.string().default('') }) });

interface Known {
  readonly code: ErrorCode;
  readonly hint?: string;
}

const SPACE: Known = { code: 'NO_SPACE', hint: 'Raise the quota of that directory, or free space in HDFS.' };
const RIGHTS: Known = {
  code: 'FORBIDDEN',
  hint: 'Let the user of this agent read and write there: it is to be a superuser of HDFS.',
};
const PATH: Known = { code: 'NOT_FOUND', hint: 'Name a path that exists in HDFS.' };

const EXCEPTIONS: Readonly<Record<string, Known>> = {
  FileNotFoundException: PATH,
  PathNotFoundException: PATH,
  FileAlreadyExistsException: { code: 'ALREADY_EXISTS', hint: 'Choose another path, or remove what lies there.' },
  AccessControlException: RIGHTS,
  SecurityException: RIGHTS,
  AuthorizationException: RIGHTS,
  NSQuotaExceededException: SPACE,
  DSQuotaExceededException: SPACE,
  QuotaByStorageTypeExceededException: SPACE,
  SnapshotException: { code: 'REFUSED' },
  NestedSnapshottableDirectoryException: { code: 'REFUSED' },
  InvalidPathException: { code: 'INVALID' },
  IllegalArgumentException: { code: 'INVALID' },
  ParentNotDirectoryException: { code: 'REFUSED' },
  PathIsNotEmptyDirectoryException: { code: 'REFUSED' },
  // These pass: see isPassing.
  StandbyException: { code: 'UNAVAILABLE', hint: 'Wait until one of the NameNodes is active.' },
  RetriableException: { code: 'UNAVAILABLE' },
  SafeModeException: { code: 'UNAVAILABLE', hint: 'Wait until the NameNode has left safe mode, or see what keeps it there.' },
  ObserverRetryOnActiveException: { code: 'UNAVAILABLE' },
};

/** An answer of a server that is no success. */
export function remoteError(status: number, text: string, doing: string): AppError {
  const said = exceptionOf(text);
  if (said === undefined) {
    // Of a server that starts, stops, or has too much to do.
    const code = status === 503 || status === 502 || status === 504 ? 'UNAVAILABLE' : 'FAILED';
    return new AppError(code, `${doing}: it was answered with HTTP status ${status}`);
  }
  const { exception, message } = said;
  const { code, hint } = EXCEPTIONS[exception] ?? { code: 'FAILED' as const };
  const [line = ''] = message.split('\n');
  return new AppError(code, `${doing}: ${line === '' ? exception : line}`, {
    details: { exception },
    ...(hint !== undefined && { hint }),
  });
}

/** Asking again, or another server, may help. */
export function isPassing({ code }: AppError): boolean {
  return code === 'UNAVAILABLE' || code === 'TIMEOUT';
}

/** The name of what HDFS threw; undefined: it was not HDFS. */
export function exceptionName({ details }: AppError): string | undefined {
  const { exception } = details;
  return typeof exception === 'string' ? exception : undefined;
}

function exceptionOf(text: string): { exception: string; message: string } | undefined {
  try {
    return remoteException.parse(JSON.parse(text)).RemoteException;
  } catch {
    return undefined;
  }
}
