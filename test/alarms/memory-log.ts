/** The queue in memory. Stands for the table of the catalogue, which has a test of its own. */
import { aboutOf } from '../../controller/alarms/delivery/channel.ts';
import type { Notice } from '../../controller/alarms/delivery/channel.ts';
import type { DeliveryLog, QueuedDelivery } from '../../controller/alarms/delivery/delivery-log.ts';
import type { AppError } from '#common/errors.ts';

interface Row extends QueuedDelivery {
  readonly state: 'waiting' | 'delivered' | 'givenUp';
  readonly error: AppError | undefined;
}

export class MemoryLog implements DeliveryLog {
  #rows: Row[] = [];

  rows(): readonly Row[] {
    return this.#rows;
  }

  put = (notice: Notice, channels: readonly string[]): Promise<void> => {
    for (const channel of channels) {
      if (this.#rows.some((row) => row.noticeId === notice.id && row.channel === channel)) continue;
      const start = { attempts: 0, pausedMs: 0, nextMs: 0, state: 'waiting', error: undefined } as const;
      this.#rows.push({ noticeId: notice.id, about: aboutOf(notice), channel, notice, ...start });
    }
    return Promise.resolve();
  };

  waiting: DeliveryLog['waiting'] = (channel) =>
    Promise.resolve(this.#rows.filter((row) => row.state === 'waiting' && (channel === undefined || row.channel === channel)));

  done: DeliveryLog['done'] = (delivery) => this.#change(delivery, { state: 'delivered' });

  failed: DeliveryLog['failed'] = (delivery, error, after) =>
    after.kind === 'giveUp'
      ? this.#change(delivery, { state: 'givenUp', attempts: after.attempts, error })
      : this.#change(delivery, { attempts: after.attempts, pausedMs: after.pausedMs, nextMs: after.nextMs, error });

  #change(delivery: QueuedDelivery, change: Partial<Row>): Promise<void> {
    this.#rows = this.#rows.map((row) =>
      row.noticeId === delivery.noticeId && row.channel === delivery.channel ? { ...row, ...change } : row,
    );
    return Promise.resolve();
  }
}
