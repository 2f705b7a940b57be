/**
 * Delivers the notices that the log holds: one worker a channel, so that a receiver that hangs holds up no other. The log is the truth and is
 * looked at again and again; `wake` only saves the wait. A controller that dies in mid-attempt finds the notice waiting: at least once.
 */
import { assertNever } from '#common/assert-never.ts';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { Logger } from '#common/log.ts';
import { DELIVERY_LIMITS, afterFailure, nextDelivery } from '#rules/delivery.ts';
import type { DeliveryLimits } from '#rules/delivery.ts';
import { failureKind } from './channel.ts';
import type { Channel } from './channel.ts';
import type { DeliveryLog, QueuedDelivery } from './delivery-log.ts';

/** How long a notice of which nobody woke us may lie. */
const POLL_MS = 5000;

export interface DeliveryIo {
  readonly channels: readonly Channel[];
  readonly log: DeliveryLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: DeliveryLimits;
}

export interface RunningDelivery {
  /** There may be something new. */
  wake(): void;
  /** Cuts attempts short (they count as not made) and waits until nothing runs any more. */
  stop(): Promise<void>;
}

export function startDelivery(io: DeliveryIo): RunningDelivery {
  const stopping = new AbortController();
  const waker = new Waker();
  const workers = [
    abandonOrphans(io, stopping.signal),
    ...io.channels.map((channel) => work(channel, io, waker, stopping.signal)),
  ];
  return {
    wake: () => waker.wake(),
    stop: async () => {
      stopping.abort();
      await Promise.all(workers);
    },
  };
}

async function work(channel: Channel, io: DeliveryIo, waker: Waker, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // Taken before looking: what is put while we look ends the pause at once.
    const woken = waker.signal();
    const pauseMs = await step(channel, io, signal).catch((error: unknown) => {
      io.logger.error({ channel: channel.name, err: error }, 'the queue of alarm notices cannot be read or written');
      return POLL_MS;
    });
    if (pauseMs > 0) await io.clock.sleep(pauseMs, AbortSignal.any([signal, woken])).catch(() => undefined);
  }
}

/** One delivery, if one is due. @returns how long to pause. */
async function step(channel: Channel, io: DeliveryIo, signal: AbortSignal): Promise<number> {
  const waiting = await io.log.waiting(channel.name);
  const next = nextDelivery(waiting, io.clock.now(), io.limits ?? DELIVERY_LIMITS);
  switch (next.kind) {
    case 'nothing':
      return POLL_MS;
    case 'wait':
      return Math.min(next.ms, POLL_MS);
    case 'send':
      await attempt(channel, next.delivery, io, signal);
      return 0;
    default:
      return assertNever(next);
  }
}

async function attempt(channel: Channel, delivery: QueuedDelivery, io: DeliveryIo, signal: AbortSignal): Promise<void> {
  try {
    await channel.deliver(delivery.notice, signal);
  } catch (caught) {
    if (signal.aborted) return;
    const error = toAppError(caught, `deliver an alarm by ${channel.name}`);
    const now = io.clock.now();
    const after = afterFailure(delivery, failureKind(error), now, io.limits ?? DELIVERY_LIMITS);
    await io.log.failed(delivery, error, after, now);
    report(io.logger, delivery, error, after.kind === 'giveUp');
    return;
  }
  await io.log.done(delivery, io.clock.now());
  io.logger.info(fieldsOf(delivery), 'alarm delivered');
}

/** What waits for a channel that the configuration no longer has would wait for ever. */
async function abandonOrphans(io: DeliveryIo, signal: AbortSignal): Promise<void> {
  try {
    const known = new Set(io.channels.map(({ name }) => name));
    for (const delivery of await io.log.waiting()) {
      if (signal.aborted) return;
      if (known.has(delivery.channel)) continue;
      const error = new AppError('REFUSED', `the configuration has no channel ${delivery.channel} any more`);
      await io.log.failed(delivery, error, { kind: 'giveUp', attempts: delivery.attempts }, io.clock.now());
      report(io.logger, delivery, error, true);
    }
  } catch (error) {
    io.logger.error({ err: error }, 'the queue of alarm notices cannot be read or written');
  }
}

function report(logger: Logger, delivery: QueuedDelivery, { code, message, hint }: AppError, gaveUp: boolean): void {
  const fields = { ...fieldsOf(delivery), attempts: delivery.attempts + 1, code, error: message, hint };
  if (gaveUp) logger.error(fields, 'alarm not delivered, given up');
  else logger.warn(fields, 'alarm not delivered yet');
}

function fieldsOf({ channel, notice }: QueuedDelivery): Record<string, unknown> {
  return { channel, notice: notice.id, alarm: notice.alarm.id, kind: notice.kind, subject: notice.subject };
}

/** Ends the pauses of all workers at once. */
class Waker {
  #controller = new AbortController();

  signal(): AbortSignal {
    return this.#controller.signal;
  }

  wake(): void {
    const woken = this.#controller;
    this.#controller = new AbortController();
    woken.abort();
  }
}
