/**
 * Which notice of an alarm goes to a channel next, and what a failed attempt leads to. Every notice goes to every channel at least once,
 * or is given up visibly. Channels know nothing of one another, so none can hold another up.
 */

export interface DeliveryLimits {
  /** Pause after the first failure; doubled after each further one. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** A delivery whose pauses add up to this is given up. Pauses count, not the clock: a clock that jumps gives nothing up. */
  readonly giveUpAfterMs: number;
}

export const DELIVERY_LIMITS: DeliveryLimits = {
  firstPauseMs: 15_000,
  longestPauseMs: 15 * 60_000,
  giveUpAfterMs: 12 * 3_600_000,
};

/** One notice on its way to one channel, as long as it waits. */
export interface WaitingDelivery {
  readonly noticeId: string;
  /** What the notice is about: alarm and subject. Notices of one alarm arrive in order, or a cleared alarm would look raised. */
  readonly about: string;
  /** Attempts that failed. */
  readonly attempts: number;
  /** The pauses so far, added up. */
  readonly pausedMs: number;
  /** Not before. */
  readonly nextMs: number;
}

/**
 * *passing*: trying again may succeed by itself. *person*: somebody must put something right first (a password, a certificate), and can while it
 * waits; asking often would only lock an account. *permanent*: this notice will never be taken.
 */
export type FailureKind = 'passing' | 'person' | 'permanent';

export type Next<T extends WaitingDelivery> =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'send'; readonly delivery: T };

export type AfterFailure =
  | { readonly kind: 'retry'; readonly attempts: number; readonly pausedMs: number; readonly nextMs: number }
  | { readonly kind: 'giveUp'; readonly attempts: number };

/** `waiting`: those of one channel, oldest notice first. One is sent at a time, the longest due first. */
export function nextDelivery<T extends WaitingDelivery>(waiting: readonly T[], now: number, limits: DeliveryLimits): Next<T> {
  const heads = firstOfEach(waiting);
  let soonest: T | undefined;
  for (const head of heads) {
    if (soonest === undefined || remaining(head, now, limits) < remaining(soonest, now, limits)) soonest = head;
  }
  if (soonest === undefined) return { kind: 'nothing' };
  const ms = remaining(soonest, now, limits);
  return ms > 0 ? { kind: 'wait', ms } : { kind: 'send', delivery: soonest };
}

export function afterFailure(delivery: WaitingDelivery, failure: FailureKind, now: number, limits: DeliveryLimits): AfterFailure {
  const attempts = delivery.attempts + 1;
  if (failure === 'permanent' || delivery.pausedMs >= limits.giveUpAfterMs) return { kind: 'giveUp', attempts };
  const pause =
    failure === 'person'
      ? limits.longestPauseMs
      : Math.min(limits.firstPauseMs * 2 ** Math.min(attempts - 1, 30), limits.longestPauseMs);
  return { kind: 'retry', attempts, pausedMs: delivery.pausedMs + pause, nextMs: now + pause };
}

function firstOfEach<T extends WaitingDelivery>(waiting: readonly T[]): T[] {
  const heads = new Map<string, T>();
  for (const delivery of waiting) if (!heads.has(delivery.about)) heads.set(delivery.about, delivery);
  return [...heads.values()];
}

/** Zero or less: due. No pause is longer than the longest, so what is further away was written before the clock was set back. */
function remaining({ nextMs }: WaitingDelivery, now: number, { longestPauseMs }: DeliveryLimits): number {
  const ms = nextMs - now;
  return ms > longestPauseMs ? 0 : ms;
}
