/** Every error that a person sees: what failed, what to do next, and the exit status of the error table. */
import { Metadata, status } from '@grpc/grpc-js';
import { CommanderError } from 'commander';
import { AppError, ERROR_CODES, toAppError } from '#common/errors.ts';
import type { ErrorCode } from '#common/errors.ts';
import { faultIn } from '#common/fault-trailer.ts';
import { usageError } from '#common/usage.ts';
import { unreachable } from './line.ts';
import { say } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** As shells have it: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

interface CallError extends Error {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

function isCallError(caught: unknown): caught is CallError {
  return caught instanceof Error && 'metadata' in caught && caught.metadata instanceof Metadata && 'details' in caught;
}

/** Of a call to the controller at `address`. The controller's own words are taken as they are. */
export function fromCall(caught: unknown, address: string): AppError {
  if (!isCallError(caught)) return toAppError(caught, `call the controller ${address}`);
  const fault = faultIn(caught);
  if (fault !== undefined) return fault;
  if (caught.code === status.UNAVAILABLE) {
    const hint =
      'Check that `holdfast controller` runs there, and that the address and the certificates in client.yaml are those of this Holdfast.';
    return unreachable(address, withoutNote(caught.details), hint, caught);
  }
  return new AppError(codeOf(caught.code), `the controller ${address} answered: ${caught.details}`, { cause: caught });
}

/** grpc-js appends what it knows of name resolution, mostly nothing. */
function withoutNote(details: string): string {
  return details.replace(/\.? Resolution note: *$/, '');
}

function codeOf(grpc: status): ErrorCode {
  // Several codes share INTERNAL and RESOURCE_EXHAUSTED; the general one of each is meant.
  if (grpc === status.INTERNAL || grpc === status.UNKNOWN) return 'FAILED';
  const found = (Object.keys(ERROR_CODES) as ErrorCode[]).find((code) => ERROR_CODES[code].grpc === grpc);
  return found ?? 'FAILED';
}

/** Prints it and gives the exit status. */
export function report(caught: unknown, terminal: Terminal): number {
  if (caught instanceof CommanderError) {
    if (caught.exitCode === 0) return 0;
    return report(usageError(caught), terminal);
  }
  const error = toAppError(caught, 'holdfast');
  say(terminal, `error: ${error.message}`);
  say(terminal, `next: ${error.hint}`);
  return terminal.signal.aborted ? EXIT_INTERRUPTED : ERROR_CODES[error.code].exit;
}
