/** `holdfast alarm list`: what needs a person. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Alarm } from '#common/gen/holdfast/v1/admin.ts';
import type { Context } from './context.ts';
import { printTable, time } from './output.ts';
import { say } from './terminal.ts';

export function addAlarm(program: Command, context: Context): void {
  const alarm = program.command('alarm').description('Alarms: what needs a person.');
  alarm
    .command('list')
    .description('List the alarms that are up.')
    .option('--history', 'cleared ones too')
    .action(async (options: { history?: boolean }) => {
      const alarms = await context.withApi((api) =>
        api.list(
          Admin.listAlarms,
          (page) => ({ ...page, history: options.history ?? false }),
          (response) => response.alarms,
        ),
      );
      context.print(alarms, () => {
        if (alarms.length === 0) return say(context.terminal, 'no alarms');
        printTable(context.terminal, ['id', 'severity', 'name', 'subject', 'raised', 'cleared', 'detail'], alarms.map(row));
      });
    });
}

function row(alarm: Alarm): string[] {
  return [String(alarm.id), alarm.severity, alarm.name, alarm.subject, time(alarm.raisedMs), time(alarm.clearedMs), alarm.detail];
}
