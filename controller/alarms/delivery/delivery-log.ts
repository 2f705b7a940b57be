/**
 * The queue of notices: what must still go where. Kept in the catalogue, so that a notice survives the controller. What is put there is put in
 * the transaction that raises or clears the alarm (`enqueue` in catalogue-log.ts).
 */
import type { AppError } from '#common/errors.ts';
import type { AfterFailure, WaitingDelivery } from '#rules/delivery.ts';
import type { Notice } from './channel.ts';

export interface QueuedDelivery extends WaitingDelivery {
  readonly channel: string;
  readonly notice: Notice;
}

export interface DeliveryLog {
  /** Everything that waits for this channel, oldest notice first, due or not: the rule decides. Without a name: for any channel. */
  waiting(channel?: string): Promise<readonly QueuedDelivery[]>;
  /** Taken by the receiver: waits no longer. */
  done(delivery: QueuedDelivery, nowMs: number): Promise<void>;
  /** Not taken. `giveUp`: waits no longer, and is kept with the error, to be shown. */
  failed(delivery: QueuedDelivery, error: AppError, after: AfterFailure, nowMs: number): Promise<void>;
}
