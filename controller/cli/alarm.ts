/** `holdfast alarm list|test`: what needs a person, and whether persons are told. */
import type { Command } from 'commander';
import { AppError } from '#common/errors.ts';
import { AdminServiceService as Admin, DeliveryState } from '#common/gen/holdfast/v1/admin.ts';
import type { Alarm, AlarmDelivery, ChannelTest } from '#common/gen/holdfast/v1/admin.ts';
import type { Context } from './context.ts';
import { printTable, time, word } from './output.ts';
import { say } from './terminal.ts';

/** Longer than the controller takes for it. */
const TEST_MS = 90_000;

export function addAlarm(program: Command, context: Context): void {
  const alarm = program.command('alarm').description('Alarms: what needs a person.');
  alarm
    .command('list')
    .description('List the alarms that are up, and whether those who are to be told have been. Reasons: with --json.')
    .option('--history', 'cleared ones too')
    .action(async (options: { history?: boolean }) => {
      const alarms = await context.withApi((api) =>
        api.list(
          Admin.listAlarms,
          (page) => ({ ...page, history: options.history ?? false }),
          (response) => response.alarms,
        ),
      );
      context.print(alarms.map(alarmView), () => {
        if (alarms.length === 0) return say(context.terminal, 'no alarms');
        const head = ['id', 'severity', 'name', 'subject', 'raised', 'cleared', 'told', 'detail'];
        printTable(context.terminal, head, alarms.map(row));
      });
    });

  alarm
    .command('test')
    .description('Send a test notice over every channel of the configuration, now, and say how each fared.')
    .action(async () => {
      const { channels } = await context.withApi((api) => api.call(Admin.testAlarms, {}, { deadlineMs: TEST_MS }));
      context.print(channels, () => {
        if (channels.length === 0) return say(context.terminal, 'nobody is told of alarms: see docs/alarms.md');
        printTable(context.terminal, ['channel', 'result', 'next'], channels.map(testRow));
      });
      const failed = channels.filter((each) => each.failed !== undefined);
      if (failed.length > 0) {
        throw new AppError('FAILED', `the test notice was not taken by ${failed.map(({ channel }) => channel).join(', ')}`, {
          hint: 'Correct what each says, and test again: holdfast alarm test',
        });
      }
    });
}

function row(alarm: Alarm): string[] {
  const { id, severity, name, subject, raisedMs, clearedMs, deliveries, detail } = alarm;
  return [String(id), severity, name, subject, time(raisedMs), time(clearedMs), told(deliveries), detail];
}

/** "2 delivered, 1 given up": of the notices of its raising and its clearing, over all channels. */
function told(deliveries: readonly AlarmDelivery[]): string {
  const counts = new Map<string, number>();
  for (const delivery of deliveries) counts.set(stateOf(delivery), (counts.get(stateOf(delivery)) ?? 0) + 1);
  return counts.size === 0 ? '-' : [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
}

function stateOf({ state }: AlarmDelivery): string {
  return word(DeliveryState, state, 'DELIVERY_STATE_');
}

function alarmView(alarm: Alarm) {
  return { ...alarm, deliveries: alarm.deliveries.map((delivery) => ({ ...delivery, state: stateOf(delivery) })) };
}

function testRow({ channel, failed }: ChannelTest): string[] {
  return failed === undefined ? [channel, 'delivered', '-'] : [channel, failed.message, failed.hint];
}
