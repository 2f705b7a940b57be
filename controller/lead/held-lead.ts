/**
 * The lead while it is ours: renewed at a third of its lease. It is lost when another has taken it, or when the database could not be
 * asked for as long as the lease stands: by our clock that is over before it is by the database's.
 */
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { Logger } from '#common/log.ts';
import { notLeader } from '../store/leadership.ts';
import type { Store } from '../store/store.ts';

export interface HeldLead {
  readonly term: number;
  /** Aborts when it is lost; the reason is an AppError, NOT_LEADER or why the database could not be asked. */
  readonly lost: AbortSignal;
  /** Whether it is ours at this moment. A process that was paused past its lease asks the database before it does anything. */
  confirm(): Promise<boolean>;
  /** The database has refused a change. */
  lose(why: AppError): void;
  /** Renews it no more. */
  letGo(): Promise<void>;
}

/** `since`: on the monotonic clock, before it was asked for. */
export interface TakenLead {
  readonly term: number;
  readonly since: number;
}

export interface LeadIo {
  readonly store: Pick<Store, 'takeLead' | 'renewLead'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
}

export function holdLead({ term, since }: TakenLead, { store, clock, log, leaseMs }: LeadIo): HeldLead {
  const lost = new AbortController();
  const over = new AbortController();
  let renewedAt = since;
  const left = () => leaseMs - (clock.monotonic() - renewedAt);

  function lose(why: AppError): void {
    over.abort();
    lost.abort(why);
  }

  async function renew(): Promise<void> {
    const asked = clock.monotonic();
    const lead = await store.renewLead(term, leaseMs);
    if (lead.kind === 'following') lose(notLeader(lead));
    else renewedAt = asked;
  }

  async function keep(): Promise<void> {
    let pause = leaseMs / 3;
    while (!over.signal.aborted) {
      await clock.sleep(pause, over.signal).catch(() => undefined);
      if (over.signal.aborted) return;
      try {
        // A database that says nothing must not keep us past the lease; one who was paused past it may still ask once.
        await within(Math.max(left(), leaseMs / 3), renew(), clock);
        pause = leaseMs / 3;
      } catch (caught) {
        const error = toAppError(caught, 'renew the lead');
        if (left() <= 0) return lose(error);
        log.warn({ reason: error.message, leftMs: Math.round(left()) }, 'the lead could not be renewed; trying again');
        pause = leaseMs / 12;
      }
    }
  }

  const keeping = keep();
  return {
    term,
    lost: lost.signal,
    async confirm() {
      if (left() <= 0 && !over.signal.aborted) await renew().catch(() => undefined);
      return left() > 0 && !over.signal.aborted;
    },
    lose,
    async letGo() {
      over.abort();
      await keeping;
    },
  };
}

async function within(ms: number, work: Promise<void>, clock: Clock): Promise<void> {
  const done = new AbortController();
  const late = clock.sleep(ms, done.signal).then(
    () => Promise.reject(new AppError('TIMEOUT', 'renew the lead: the catalogue does not answer')),
    () => undefined,
  );
  try {
    await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}
