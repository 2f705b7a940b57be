/** Who is told of alarms: their notices go into the queue of the catalogue, and out of it while the engine runs. */
import type { Clock } from '#common/clock.ts';
import type { Logger } from '#common/log.ts';
import type { ControllerConfig } from '../config.ts';
import type { Alarm } from '../model.ts';
import type { Changes, Queries } from '../store/store.ts';
import { catalogueLog, enqueue } from './delivery/catalogue-log.ts';
import { createChannels } from './delivery/channels.ts';
import { startDelivery } from './delivery/deliver.ts';
import type { RunningDelivery } from './delivery/deliver.ts';
import { noticeOf } from './delivery/notice.ts';

export interface Notices {
  /** In the change that raises or clears the alarm: there is no alarm without its notice. What it wakes waits for nobody. */
  put(change: Pick<Changes, 'addDelivery'> & { after(effect: () => void): void }, alarm: Alarm): Promise<void>;
  /** Delivers what waits, until it is stopped. */
  start(io: NoticesIo): Pick<RunningDelivery, 'stop'>;
}

export interface NoticesIo {
  readonly store: Pick<Queries, 'waitingDeliveries'>;
  readonly clock: Clock;
  readonly log: Logger;
  change(work: (change: Changes) => Promise<void>): Promise<void>;
}

export function createNotices(config: Pick<ControllerConfig, 'alarms' | 'managementNodes'>): Notices {
  const channels = createChannels(config.alarms);
  const names = channels.map(({ name }) => name);
  let delivering: RunningDelivery | undefined;
  return {
    async put(change, alarm) {
      await enqueue(change, noticeOf(alarm, config.managementNodes.active), names);
      change.after(() => delivering?.wake());
    },
    start(io) {
      const log = catalogueLog(io.store, (work) => io.change(work));
      const running = startDelivery({ channels, log, clock: io.clock, logger: io.log });
      delivering = running;
      return running;
    },
  };
}
