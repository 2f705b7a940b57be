/** A controller that does not lead: asks again and again, and tells what it finds, until the lead is its own. */
import { AppError, toAppError } from '#common/errors.ts';
import { notLeader } from '../store/leadership.ts';
import type { Candidate } from '../store/store.ts';
import type { Stand } from './front.ts';
import type { LeadIo, TakenLead } from './held-lead.ts';

/** undefined: it was stopped before. Whatever is wrong with the database may be put right while it waits. */
export async function follow(
  candidate: Candidate,
  { store, clock, leaseMs }: LeadIo,
  tell: (stand: Stand) => void,
  signal: AbortSignal,
): Promise<TakenLead | undefined> {
  while (!signal.aborted) {
    const since = clock.monotonic();
    let pause = leaseMs / 6;
    try {
      const lead = await store.takeLead(candidate, leaseMs);
      if (lead.kind === 'leading') return { term: lead.term, since };
      tell({ kind: 'refusing', why: notLeader(lead) });
      pause = Math.max(50, Math.min(pause, lead.leftMs));
    } catch (caught) {
      tell({ kind: 'refusing', why: cutOff(toAppError(caught, 'ask who leads')) });
    }
    await clock.sleep(pause, signal).catch(() => undefined);
  }
  return undefined;
}

/** What those are told who ask a controller that cannot say who leads. */
export function cutOff(cause: AppError): AppError {
  if (cause.code === 'NOT_LEADER') return cause;
  const { message, hint } = cause;
  return new AppError('NOT_LEADER', `this controller does not lead, and cannot see who does: ${message}`, { cause, hint });
}
