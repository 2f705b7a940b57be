import { describe, expect, test } from 'vitest';
import { calendar, calendarFault } from '../../controller/engine/calendar.ts';
import { DEFAULT_LIMITS } from '../../controller/rules/limits.ts';
import { nextStart, scheduleOf } from '../../controller/rules/schedule.ts';
import type { ScheduledTask } from '../../controller/rules/schedule.ts';

const HOUR = 3_600_000;
const DUE = 1_000 * HOUR;
const hourly = { kind: 'periodic', startMs: 0, periodMs: HOUR } as const;

const task = (but: Partial<ScheduledTask> = {}): ScheduledTask => ({
  schedule: hourly,
  whenLate: 'postpone',
  locked: false,
  nextStartMs: DUE,
  lastStartedMs: undefined,
  elapsedMs: undefined,
  open: false,
  ...but,
});
const decide = (now: number, but: Partial<ScheduledTask> = {}) => scheduleOf(task(but), now, DEFAULT_LIMITS, calendar);

describe('an automatic run', () => {
  test.each([
    ['waits before its time', DUE - 1, {}, { kind: 'wait' }],
    ['starts at its time', DUE, {}, { kind: 'start', due: DUE, next: DUE + HOUR }],
    ['starts 120 s late', DUE + 120_000, {}, { kind: 'start', due: DUE, next: DUE + HOUR }],
    [
      'moves to the next period when it is more than 120 s late',
      DUE + 120_001,
      {},
      { kind: 'skip', reason: 'late', next: DUE + HOUR },
    ],
    [
      'starts however late when the task says so',
      DUE + 10 * HOUR + 500_000,
      { whenLate: 'run-once' },
      { kind: 'start', next: DUE + 11 * HOUR },
    ],
    [
      'starts for a later due time that is not late',
      DUE + 5 * HOUR + 60_000,
      {},
      { kind: 'start', due: DUE + 5 * HOUR, next: DUE + 6 * HOUR },
    ],
    ['is skipped while the last run has not ended', DUE, { open: true }, { kind: 'skip', reason: 'open', next: DUE + HOUR }],
    ['is skipped 120 s after the last start', DUE, { lastStartedMs: DUE - 120_000 }, { kind: 'skip', reason: 'too-soon' }],
    ['starts more than 120 s after the last start', DUE, { lastStartedMs: DUE - 120_001 }, { kind: 'start' }],
    [
      'is skipped after a clock set forward made the last start look old',
      DUE,
      { lastStartedMs: DUE - HOUR, elapsedMs: 5000 },
      { kind: 'skip', reason: 'too-soon' },
    ],
    [
      'starts although a clock set back made the last start lie in the future',
      DUE,
      { lastStartedMs: DUE + HOUR },
      { kind: 'start' },
    ],
    ['never starts while the task is locked', DUE, { locked: true }, { kind: 'wait' }],
    ['never starts when the task has no next start', DUE, { nextStartMs: undefined }, { kind: 'wait' }],
    [
      'comes sooner when the clock was set back by more than a period',
      DUE - 5 * HOUR + 1,
      {},
      { kind: 'move', next: DUE - 4 * HOUR },
    ],
    ['is not repeated when the clock was set back a little after it', DUE - 5000, { nextStartMs: DUE + HOUR }, { kind: 'wait' }],
  ] as const)('%s', (_name, now, but, decision) => {
    expect(decide(now, but)).toMatchObject(decision);
  });

  test('of a calendar that comes no more still starts at its last time', () => {
    const once = { kind: 'calendar', cron: '0 0 29 2 *', zone: 'UTC' } as const;
    const last = Date.UTC(2096, 1, 29);
    const none = () => undefined;
    expect(scheduleOf(task({ schedule: once, nextStartMs: last }), last, DEFAULT_LIMITS, none)).toEqual({
      kind: 'start',
      due: last,
      next: undefined,
    });
  });
});

describe('the next start', () => {
  test('is after now, so that unlocking, modifying or starting the controller fires nothing stale', () => {
    expect(nextStart(task(), DUE, calendar)).toBe(DUE + HOUR);
    expect(nextStart(task(), DUE - 1, calendar)).toBe(DUE);
  });
  test('of a task whose first start is to come is that', () => {
    expect(nextStart(task({ schedule: { ...hourly, startMs: DUE * 2 + 7 } }), DUE, calendar)).toBe(DUE * 2 + 7);
  });
  test('of a locked or manual task is none', () => {
    expect(nextStart(task({ locked: true }), DUE, calendar)).toBeUndefined();
    expect(nextStart(task({ schedule: { kind: 'manual' } }), DUE, calendar)).toBeUndefined();
  });
});

describe('a calendar in a zone with daylight saving', () => {
  const at = (cron: string) => ({ kind: 'calendar', cron, zone: 'Europe/Berlin' }) as const;
  const starts = (cron: string, after: string, count: number) => {
    const found: string[] = [];
    for (let ms = Date.parse(after); found.length < count;) {
      ms = calendar(at(cron), ms) ?? Number.NaN;
      found.push(new Date(ms).toISOString().slice(5, 16));
    }
    return found;
  };
  test('starts at the end of the gap what the gap leaves out', () => {
    expect(starts('30 2 * * *', '2026-03-28T12:00Z', 2)).toEqual(['03-29T01:00', '03-30T00:30']);
  });
  test('starts once what the overlap has twice', () => {
    expect(starts('30 2 * * *', '2026-10-24T12:00Z', 2)).toEqual(['10-25T00:30', '10-26T01:30']);
  });
  test('goes on evenly through the overlap when the hours are a wildcard', () => {
    expect(starts('*/30 * * * *', '2026-10-25T00:00Z', 4)).toEqual(['10-25T00:30', '10-25T01:00', '10-25T01:30', '10-25T02:00']);
  });
  test.each([
    ['61 * * * *', 'Europe/Berlin', /cannot be read: .*minute/],
    ['0 0 * * * *', 'Europe/Berlin', /cannot be read/],
    ['0 2 * * *', 'Mars/Phobos', /cannot be read: .*Mars\/Phobos/],
    ['0 0 30 2 *', 'UTC', /never comes/],
    ['* * * * *', 'UTC', /no more than 120 s apart/],
    ['0,2 3 * * *', 'UTC', /no more than 120 s apart/],
  ])('is refused as %j in %s', (cron, zone, why) => {
    expect(calendarFault({ kind: 'calendar', cron, zone }, DUE, 120_000)).toMatch(why);
  });
  test('is taken when its starts are more than 120 s apart', () => {
    expect(calendarFault(at('0,3 2 * * 1-5'), DUE, 120_000)).toBeUndefined();
  });
});
