/** The queue of notices in the catalogue. */
import { toFault } from '#common/errors.ts';
import type { Delivery } from '../../model.ts';
import type { Changes, Queries } from '../../store/store.ts';
import { aboutOf } from './channel.ts';
import type { Notice } from './channel.ts';
import type { DeliveryLog, QueuedDelivery } from './delivery-log.ts';

/** One delivery for each channel, due at once; within the change that raises or clears the alarm: then there is none without its notice. */
export async function enqueue(change: Pick<Changes, 'addDelivery'>, notice: Notice, channels: readonly string[]): Promise<void> {
  for (const channel of channels) {
    const start = { attempts: 0, pausedMs: 0, nextMs: 0, fault: undefined, endedMs: undefined };
    await change.addDelivery({ notice, channel, state: 'waiting', ...start });
  }
}

export function catalogueLog(
  from: Pick<Queries, 'waitingDeliveries'>,
  change: (work: (change: Changes) => Promise<void>) => Promise<void>,
): DeliveryLog {
  const put = (delivery: Delivery) => change((changes) => changes.changeDelivery(delivery));
  return {
    waiting: async (channel) => (await from.waitingDeliveries(channel)).map(queued),
    done: ({ notice, channel, attempts, pausedMs, nextMs }, nowMs) =>
      put({ notice, channel, attempts, pausedMs, nextMs, state: 'delivered', fault: undefined, endedMs: nowMs }),
    failed({ notice, channel, pausedMs, nextMs }, error, after, nowMs) {
      const failed = { notice, channel, attempts: after.attempts, fault: toFault(error) };
      return after.kind === 'giveUp'
        ? put({ ...failed, state: 'givenUp', pausedMs, nextMs, endedMs: nowMs })
        : put({ ...failed, state: 'waiting', pausedMs: after.pausedMs, nextMs: after.nextMs, endedMs: undefined });
    },
  };
}

function queued({ notice, channel, attempts, pausedMs, nextMs }: Delivery): QueuedDelivery {
  return { noticeId: notice.id, about: aboutOf(notice), channel, notice, attempts, pausedMs, nextMs };
}
