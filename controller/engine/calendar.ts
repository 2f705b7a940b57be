/**
 * Calendars: cron of five fields in a zone of the tz database. A time that the spring gap leaves out comes at the end of the gap; one
 * that the autumn overlap has twice comes the first time only, unless the hour field is a wildcard or a step.
 */
import { Cron } from 'croner';
import { dateOf } from '#common/clock.ts';
import type { Calendar, Schedule } from '#rules/schedule.ts';

type CalendarSchedule = Schedule & { readonly kind: 'calendar' };

export const calendar: Calendar = (schedule, afterMs) => open(schedule).nextRun(dateOf(afterMs))?.getTime();

/** How many starts are looked at for two that come too close: a year of daily ones. */
const LOOKED_AT = 400;

/** Why this calendar is refused; undefined: it is good. */
export function calendarFault(schedule: CalendarSchedule, now: number, shortestGapMs: number): string | undefined {
  const named = `the calendar ${JSON.stringify(schedule.cron)} in ${JSON.stringify(schedule.zone)}`;
  try {
    const starts = open(schedule)
      .nextRuns(LOOKED_AT, dateOf(now))
      .map((start) => start.getTime());
    if (starts.length === 0) return `${named} never comes`;
    const close = starts.findIndex((start, index) => index > 0 && start - (starts[index - 1] ?? 0) <= shortestGapMs);
    if (close === -1) return undefined;
    return `${named} has starts no more than ${shortestGapMs / 1000} s apart, and more is required`;
  } catch (error) {
    return `${named} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function open({ cron, zone }: CalendarSchedule): Cron {
  return new Cron(cron, { timezone: zone, paused: true, mode: '5-part' });
}
