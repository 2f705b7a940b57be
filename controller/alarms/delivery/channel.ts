/**
 * The seam of the ways out: a channel is one place that notices of alarms go to (a webhook, one mail address, one SNMP manager).
 * A channel sends one notice once; queueing, retrying and giving up are the business of `deliver.ts` and its rule.
 */
import type { AppError } from '#common/errors.ts';
import { assertNever } from '#common/assert-never.ts';
import type { FailureKind } from '#rules/delivery.ts';

interface NoticeFacts {
  /** Unique and stable: a repeated delivery has the same, so that a receiver can drop it. */
  readonly id: string;
  readonly alarm: { readonly id: number; readonly name: string; readonly severity: string };
  /** What it is about: a task, a node, a source. */
  readonly subject: string;
  readonly detail: string;
  /** What to do next. */
  readonly next: string;
  /** Who sends it: the name of this Holdfast, as the reader knows it. */
  readonly origin: string;
  readonly raisedMs: number;
}

/** Raising and clearing an alarm are one notice each. A test is nobody's alarm and says so everywhere. */
export type Notice = NoticeFacts &
  ({ readonly kind: 'raised' } | { readonly kind: 'cleared'; readonly clearedMs: number } | { readonly kind: 'test' });

export interface Channel {
  /** `webhook/ops`, `email/oncall/a@example.org`, `snmp/nms`: unique, and stable over restarts, since what waits is kept by it. */
  readonly name: string;
  /**
   * Called by one caller at a time, and again with the same notice after a failure. Resolves when the receiver has taken it (an SNMP trap: when
   * it was sent, for nothing answers). Reads its secrets and CA anew, so that correcting a file is enough. Leaves no connection behind.
   * Ends by its own time-out, and at once when the signal aborts.
   * @throws AppError
   *   UNAVAILABLE, TIMEOUT, FAILED: passing, try again.
   *   UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, INVALID: a password, certificate, address or file is wrong; a person must correct it.
   *   REFUSED: permanent, the receiver will never take this notice (or this mail address).
   *   STOPPED: the signal aborted.
   */
  deliver(notice: Notice, signal: AbortSignal): Promise<void>;
}

export function failureKind({ code }: AppError): FailureKind {
  switch (code) {
    case 'REFUSED':
    case 'LIMIT':
      return 'permanent';
    case 'UNAUTHENTICATED':
    case 'FORBIDDEN':
    case 'NOT_FOUND':
    case 'INVALID':
    case 'ALREADY_EXISTS':
      return 'person';
    case 'UNAVAILABLE':
    case 'NOT_LEADER':
    case 'TIMEOUT':
    case 'STOPPED':
    case 'NO_SPACE':
    case 'DAMAGED':
    case 'FENCED':
    case 'TOOL':
    case 'FAILED':
    case 'UNKNOWN_STATE':
    case 'BUG':
      return 'passing';
    default:
      return assertNever(code);
  }
}

/** What an alarm is called by receivers that count and group: the same from its raising to its clearing, and for its next time. */
export function aboutOf({ alarm, subject, kind }: Notice): string {
  return kind === 'test' ? 'test' : `${alarm.id}/${subject}`;
}
