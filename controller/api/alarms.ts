import { toFault } from '#common/errors.ts';
import type * as api from '#common/gen/holdfast/v1/admin.ts';
import { createChannels } from '../alarms/delivery/channels.ts';
import { noticeIdsOf } from '../alarms/delivery/notice.ts';
import { testChannels } from '../alarms/delivery/test-channels.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import type { Delivery } from '../model.ts';
import { adminCall } from './answer.ts';
import { LARGEST_RECORDS_PAGE, pageRequest } from './from-proto.ts';
import { alarmMessage } from './to-proto.ts';

type Names = 'listAlarms' | 'testAlarms';

/** Longer than the time-out of any channel that is not configured otherwise: a person waits. */
const TEST_MS = 60_000;

export function alarmCalls({ log, store, config, clock }: EngineIo): Pick<api.AdminServiceServer, Names> {
  return {
    listAlarms: adminCall(log, async (request: api.ListAlarmsRequest) => {
      const { items, next } = await store.listAlarms(request.history, pageRequest(request, LARGEST_RECORDS_PAGE));
      const told = byNotice(await store.deliveriesOf(items.flatMap(noticeIdsOf)));
      const alarms = items.map((alarm) =>
        alarmMessage(
          alarm,
          noticeIdsOf(alarm).flatMap((id) => told.get(id) ?? []),
        ),
      );
      return { alarms, nextPageToken: next };
    }),

    testAlarms: adminCall(log, async (_request: api.TestAlarmsRequest) => {
      const test = { origin: config.managementNodes.active, nowMs: clock.now() };
      const answers = await testChannels(createChannels(config.alarms), test, AbortSignal.timeout(TEST_MS));
      return { channels: answers.map(({ channel, error }) => ({ channel, failed: error && toFault(error) })) };
    }),
  };
}

function byNotice(deliveries: readonly Delivery[]): Map<string, Delivery[]> {
  const groups = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    groups.set(delivery.notice.id, [...(groups.get(delivery.notice.id) ?? []), delivery]);
  }
  return groups;
}
