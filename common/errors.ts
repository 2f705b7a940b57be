/**
 * One error class and one table of codes for the whole product. A message says what was being done to what; the hint says
 * what to do next. Expected outcomes are return values, not errors.
 */
import { status } from '@grpc/grpc-js';

interface CodeEntry {
  readonly grpc: status;
  /** Exit status of the CLI. */
  readonly exit: number;
  /** Whether trying again, unchanged, can succeed. */
  readonly retryable: boolean;
  /** What to do next, where the thrower knows nothing better. */
  readonly hint: string;
}

/** Exit statuses: 2 bad input, 3 not found, 4 refused in the present state, 5 failed, 6 unreachable, 7 not allowed, 8 damaged data, 9 no space. */
export const ERROR_CODES = {
  INVALID: { grpc: status.INVALID_ARGUMENT, exit: 2, retryable: false, hint: 'Correct the input and try again.' },
  NOT_FOUND: {
    grpc: status.NOT_FOUND,
    exit: 3,
    retryable: false,
    hint: 'List what exists and check the name: holdfast task, run, set, restore or agent list.',
  },
  ALREADY_EXISTS: { grpc: status.ALREADY_EXISTS, exit: 4, retryable: false, hint: 'Choose another name.' },
  REFUSED: {
    grpc: status.FAILED_PRECONDITION,
    exit: 4,
    retryable: false,
    hint: 'Change what the message names, then try again.',
  },
  LIMIT: { grpc: status.RESOURCE_EXHAUSTED, exit: 4, retryable: false, hint: 'Remove what is not needed, or raise the limit.' },
  NO_SPACE: { grpc: status.RESOURCE_EXHAUSTED, exit: 9, retryable: false, hint: 'Free space on the named partition.' },
  UNAVAILABLE: { grpc: status.UNAVAILABLE, exit: 6, retryable: true, hint: 'Check that the other side runs and can be reached.' },
  NOT_LEADER: {
    grpc: status.UNAVAILABLE,
    exit: 6,
    retryable: true,
    hint: 'Ask the other controllers.',
  },
  TIMEOUT: { grpc: status.DEADLINE_EXCEEDED, exit: 6, retryable: true, hint: 'Check the other side, or raise the time-out.' },
  UNAUTHENTICATED: { grpc: status.UNAUTHENTICATED, exit: 7, retryable: false, hint: 'Use a certificate signed by this CA.' },
  FORBIDDEN: { grpc: status.PERMISSION_DENIED, exit: 7, retryable: false, hint: 'Use a certificate that has this right.' },
  DAMAGED: {
    grpc: status.DATA_LOSS,
    exit: 8,
    retryable: false,
    hint: 'Do not use this file; restore from another set or vault.',
  },
  STOPPED: { grpc: status.CANCELLED, exit: 5, retryable: false, hint: 'Run it again when wanted.' },
  FENCED: { grpc: status.ABORTED, exit: 5, retryable: false, hint: 'A newer attempt has taken over; look at that one.' },
  TOOL: { grpc: status.INTERNAL, exit: 5, retryable: true, hint: "Read the tool's own message above, and its log." },
  FAILED: { grpc: status.INTERNAL, exit: 5, retryable: true, hint: 'Read the log of the run.' },
  UNKNOWN_STATE: {
    grpc: status.INTERNAL,
    exit: 5,
    retryable: false,
    hint: 'Follow docs/failures.md, "Restore and roll back failed".',
  },
  BUG: { grpc: status.INTERNAL, exit: 70, retryable: false, hint: 'This is a fault of Holdfast: report it with the log.' },
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface AppErrorOptions {
  readonly cause?: unknown;
  readonly hint?: string;
  /** For logs and programs; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? ERROR_CODES[code].hint;
    this.details = options.details ?? {};
  }
}

/** What travels of an error: the Fault message of the API has this shape. */
export interface FaultShape {
  code: string;
  message: string;
  hint: string;
}

/** The one funnel for caught values: every error becomes an AppError that says what was being done. */
export function toAppError(caught: unknown, doing: string): AppError {
  if (caught instanceof AppError) return caught;
  if (caught instanceof Error && isAbort(caught)) {
    return caught.name === 'TimeoutError'
      ? new AppError('TIMEOUT', `${doing}: timed out`, { cause: caught })
      : new AppError('STOPPED', `${doing}: stopped`, { cause: caught });
  }
  const { code, ...hint } = systemFault(caught) ?? { code: 'FAILED' };
  return new AppError(code, `${doing}: ${caught instanceof Error ? caught.message : String(caught)}`, { cause: caught, ...hint });
}

/** A message of gRPC holds 4 MiB: a fault with a list of a million files must not be one that can never be told. */
const MESSAGE_LIMIT = 16_384;

export function toFault({ code, message, hint }: AppError): FaultShape {
  const left = message.length - MESSAGE_LIMIT;
  return { code, message: left > 0 ? `${message.slice(0, MESSAGE_LIMIT)}… (${left} more characters)` : message, hint };
}

/** The reverse of toFault, tolerant of codes of a newer peer. */
export function fromFault(fault: FaultShape): AppError {
  const code = Object.hasOwn(ERROR_CODES, fault.code) ? (fault.code as ErrorCode) : 'FAILED';
  return new AppError(code, fault.message, { hint: fault.hint });
}

function isAbort(error: Error): boolean {
  return error.name === 'AbortError' || error.name === 'TimeoutError';
}

/** What the operating system says, and what to do about it where that is not what to do about the code. */
const SYSTEM: Readonly<Record<string, { readonly code: ErrorCode; readonly hint?: string }>> = {
  ENOENT: { code: 'NOT_FOUND', hint: 'Name a path that exists, or make it.' },
  EISDIR: { code: 'INVALID', hint: 'Name a file: this is a directory.' },
  ENOTDIR: { code: 'INVALID', hint: 'Name a directory, or a path through directories only: what stands there is a file.' },
  ENAMETOOLONG: { code: 'INVALID', hint: 'Name a shorter path.' },
  EACCES: { code: 'FORBIDDEN', hint: 'Run it as a user who may read and write there, or change its owner or mode.' },
  EPERM: { code: 'FORBIDDEN', hint: 'Run it as a user who may read and write there, or change its owner or mode.' },
  EROFS: { code: 'FORBIDDEN', hint: 'Name a place on a file system that can be written, or mount this one so.' },
  EADDRINUSE: { code: 'REFUSED' },
  ENOSPC: { code: 'NO_SPACE' },
  EDQUOT: { code: 'NO_SPACE' },
  ECONNREFUSED: { code: 'UNAVAILABLE' },
  ECONNRESET: { code: 'UNAVAILABLE' },
  EPIPE: { code: 'UNAVAILABLE' },
  EHOSTUNREACH: { code: 'UNAVAILABLE' },
  ENETUNREACH: { code: 'UNAVAILABLE' },
  ETIMEDOUT: { code: 'TIMEOUT' },
};

function systemFault(caught: unknown) {
  const code = caught instanceof Error && 'code' in caught ? String(caught.code) : '';
  return Object.hasOwn(SYSTEM, code) ? SYSTEM[code] : undefined;
}
