/** The smaller rules, each as a table. */
import { describe, expect, test } from 'vitest';
import { calendar as croner } from '../../controller/engine/calendar.ts';
import { clockDoubt } from '../../controller/rules/clock-doubt.ts';
import type { ClockEvidence } from '../../controller/rules/clock-doubt.ts';
import {
  certificateExpiring,
  fullAt,
  neverRan,
  overdue,
  pausedTooLong,
  spaceRunningOut,
  vaultFullAt,
} from '../../controller/rules/conditions.ts';
import type { WatchedTask } from '../../controller/rules/conditions.ts';
import { ALARMS, isTooLarge } from '../../controller/rules/alarms.ts';
import { outcomeOf } from '../../controller/rules/outcome.ts';
import { judgeRestore } from '../../controller/rules/restore.ts';
import { retryAfterMs } from '../../controller/rules/retry.ts';
import type { Schedule } from '../../controller/rules/schedule.ts';
import { DEFAULT_LIMITS } from '../../controller/rules/limits.ts';
import { levelOf } from '../../controller/rules/policy.ts';
import { RUN_STATES, hasEnded, mayBecome } from '../../controller/rules/run-state.ts';
import { taskFaults } from '../../controller/rules/task.ts';
import type { TaskInput } from '../../controller/rules/task.ts';

const HOUR = 3_600_000;
const NOW = 1_000_000 * HOUR;

test('the edges between the states of a run are these and no others', () => {
  const edges = [undefined, ...RUN_STATES].flatMap((from) =>
    RUN_STATES.filter((to) => from !== to && mayBecome(from, to)).map((to) => `${from ?? 'new'} → ${to}`),
  );
  expect(edges).toEqual([
    'new → waiting',
    'new → skipped',
    'waiting → running',
    'waiting → failed',
    'waiting → stopped',
    'running → successful',
    'running → failed',
    'running → stopped',
  ]);
  expect(RUN_STATES.filter(hasEnded)).toEqual(['successful', 'failed', 'stopped', 'skipped']);
});

describe('a backup is', () => {
  const last = { sinceFull: 0, targetChanged: false, baseLost: undefined };
  test.each([
    ['full when the policy says so', { kind: 'full' }, last, 'full'],
    ['full the first time', { kind: 'full-then-incremental' }, { ...last, sinceFull: undefined }, 'full'],
    ['incremental afterwards', { kind: 'full-then-incremental' }, { ...last, sinceFull: 500 }, 'incremental'],
    ['full when the target has changed', { kind: 'full-then-incremental' }, { ...last, targetChanged: true }, 'full'],
    ['full when its base is gone', { kind: 'full-then-incremental' }, { ...last, baseLost: 'the snapshot is gone' }, 'full'],
    ['incremental twice after a full one of every three', { kind: 'full-every', n: 3 }, { ...last, sinceFull: 1 }, 'incremental'],
    ['full the third time of every three', { kind: 'full-every', n: 3 }, { ...last, sinceFull: 2 }, 'full'],
    ['always full when it is full every one', { kind: 'full-every', n: 1 }, last, 'full'],
  ] as const)('%s', (_name, policy, history, kind) => {
    expect(levelOf(policy, history).kind).toBe(kind);
  });
  test('loudly full only when it should have been incremental', () => {
    expect(levelOf({ kind: 'full-then-incremental' }, { ...last, baseLost: 'x' })).toMatchObject({ forced: true, reason: 'x' });
    expect(levelOf({ kind: 'full' }, { ...last, baseLost: 'x' })).toMatchObject({ forced: false });
  });
});

describe('the clock is', () => {
  const good = {
    now: NOW,
    latestRecordedMs: NOW - 1,
    vaults: [{ node: 'mn1', aheadMs: 300_000 }],
    jumpedMs: 0,
    sinceJumpMs: 0,
    confirmation: 'confirmed' as ClockEvidence['confirmation'],
  };
  const doubt = (but: Partial<typeof good>) => clockDoubt({ ...good, ...but }, DEFAULT_LIMITS);
  test('trusted when it agrees with the vaults within 5 minutes', () => expect(doubt({})).toBeUndefined());
  test('in doubt when a vault differs by more', () =>
    expect(doubt({ vaults: [{ node: 'mn1', aheadMs: -300_001 }] })).toMatch(/clock of mn1 differs/));
  test('in doubt when the catalogue knows a later time', () =>
    expect(doubt({ latestRecordedMs: NOW + 300_001 })).toMatch(/set back/));
  test('in doubt after a jump until a vault confirms it', () => {
    expect(doubt({ jumpedMs: 400_000, confirmation: 'possible' })).toMatch(/jumped/);
    expect(doubt({ jumpedMs: 400_000, confirmation: 'possible', sinceJumpMs: 2 * 86_400_000 })).toMatch(/another machine/);
    expect(doubt({ jumpedMs: -400_000, confirmation: 'nobody', sinceJumpMs: 86_399_000 })).toMatch(/trusted 86400 s after that$/);
    expect(doubt({ jumpedMs: -400_000, confirmation: 'nobody', sinceJumpMs: 86_400_000 })).toBeUndefined();
    expect(doubt({ jumpedMs: 400_000 })).toBeUndefined();
  });
});

describe('the alarm', () => {
  const task: WatchedTask = {
    schedule: { kind: 'periodic', startMs: 0, periodMs: HOUR },
    createdMs: NOW - 3 * HOUR,
    locked: false,
    lockedMs: undefined,
    newestGoodMs: undefined,
    wantedAgeMs: undefined,
  };
  test.each([
    ['never ran is up after two periods without a good set', neverRan(task, NOW, croner), true],
    ['never ran is not up before', neverRan({ ...task, createdMs: NOW - 2 * HOUR }, NOW, croner), false],
    ['never ran is not up of a task run by hand', neverRan({ ...task, schedule: { kind: 'manual' } }, NOW, croner), false],
    [
      'never ran is up of a task run by hand that has a wanted age',
      neverRan({ ...task, schedule: { kind: 'manual' }, wantedAgeMs: HOUR }, NOW, croner),
      true,
    ],
    [
      'overdue is up when the newest good set is older than wanted',
      overdue({ ...task, newestGoodMs: NOW - HOUR - 1, wantedAgeMs: HOUR }, NOW, croner),
      true,
    ],
    ['overdue is up of a locked task too', overdue({ ...task, locked: true, newestGoodMs: NOW - 3 * HOUR }, NOW, croner), true],
    ['overdue is not up within two periods', overdue({ ...task, newestGoodMs: NOW - 2 * HOUR }, NOW, croner), false],
    [
      'paused is up when the lock is older than allowed',
      pausedTooLong({ ...task, locked: true, lockedMs: NOW - 2 * HOUR }, NOW, HOUR),
      true,
    ],
    ['paused is not up of an unlocked task', pausedTooLong({ ...task, lockedMs: NOW - 2 * HOUR }, NOW, HOUR), false],
    ['certificate is up before the end', certificateExpiring(NOW + HOUR, NOW, 2 * HOUR), true],
    ['certificate is not up long before', certificateExpiring(NOW + 3 * HOUR, NOW, 2 * HOUR), false],
    ['space is up when it will be full soon', spaceRunningOut(NOW + HOUR, NOW, 2 * HOUR), true],
    ['space is not up when nothing grows', spaceRunningOut(undefined, NOW, 2 * HOUR), false],
  ])('%s', (_name, condition, up) => {
    expect(condition !== undefined).toBe(up);
  });

  describe('of a calendar allows twice the longest gap', () => {
    const at = (text: string) => Date.parse(text);
    const old = (cron: string, good: string, now: string) => {
      const schedule = { kind: 'calendar', cron, zone: 'UTC' } as const;
      const never = neverRan({ ...task, schedule, createdMs: at(good) }, at(now), croner);
      expect(never === undefined).toBe(overdue({ ...task, schedule, newestGoodMs: at(good) }, at(now), croner) === undefined);
      return never !== undefined;
    };
    // 2026-11-23 is a Monday.
    test.each([
      ['nightly, after two nights', '30 2 * * *', '2026-11-23T02:30Z', '2026-11-25T02:30Z', false],
      ['nightly, beyond two nights', '30 2 * * *', '2026-11-23T02:30Z', '2026-11-25T02:31Z', true],
      ['of working days, on Monday before its start', '30 2 * * 1-5', '2026-11-20T02:30Z', '2026-11-23T02:29Z', false],
      ['of working days, a week late', '30 2 * * 1-5', '2026-11-20T02:30Z', '2026-11-27T02:30Z', true],
      ['of working hours, all through the weekend', '0 8-18 * * 1-5', '2026-11-20T18:00Z', '2026-11-23T07:59Z', false],
      ['of working hours, for a day without one', '0 8-18 * * 1-5', '2026-11-23T18:00Z', '2026-11-24T23:00Z', true],
      ['monthly, in the second month', '0 0 1 * *', '2026-11-01T00:00Z', '2026-12-31T00:00Z', false],
      ['monthly, in the third', '0 0 1 * *', '2026-11-01T00:00Z', '2027-01-03T00:00Z', true],
    ])('%s', (_name, cron, good, now, up) => {
      expect(old(cron, good, now)).toBe(up);
    });
  });

  test('of space foresees the day from the growth of the samples', () => {
    const samples = Array.from({ length: 10 }, (_, n) => ({ timeMs: NOW + n * HOUR, usedBytes: BigInt(1000 * n + (n % 2)) }));
    expect(((fullAt(samples, 5000n, HOUR) ?? 0) - NOW) / HOUR).toBeCloseTo(14, 1);
    expect(fullAt(samples, 5000n, 10 * HOUR)).toBeUndefined();
    expect(
      fullAt(
        samples.map((each) => ({ ...each, usedBytes: 7n })),
        5000n,
        HOUR,
      ),
    ).toBeUndefined();
    expect(fullAt([], 5000n, HOUR)).toBeUndefined();
  });

  test('of space takes the earlier of two ends: the partition, filled by whomever, and the cap of the backups', () => {
    const samples = Array.from({ length: 25 }, (_, n) => ({
      timeMs: NOW + n * HOUR,
      freeBytes: 10_000n - BigInt(100 * n),
      usedBytes: BigInt(10 * n),
    }));
    const last = NOW + 24 * HOUR;
    const vault = { freeBytes: 7600n, usedBytes: 240n, minimumFreeBytes: 600n, capBytes: 440n };
    const hoursLeft = (change: Partial<typeof vault> | { capBytes: undefined }) => {
      const end = vaultFullAt(samples, { ...vault, ...change }, last);
      return end === undefined ? undefined : Math.round((end - last) / HOUR);
    };
    expect([hoursLeft({}), hoursLeft({ capBytes: 4240n }), hoursLeft({ capBytes: undefined })]).toEqual([20, 70, 70]);
    expect([hoursLeft({ minimumFreeBytes: 7600n }), hoursLeft({ capBytes: 240n }), hoursLeft({ freeBytes: 5n })]).toEqual([
      0, 0, 0,
    ]);
    expect(vaultFullAt(samples.slice(0, 24), vault, last), 'less than a day tells nothing').toBeUndefined();
    expect(vaultFullAt([], { ...vault, freeBytes: 600n }, last), 'full is full').toBe(last);
  });
});

test('every fault of a task is named at once', () => {
  const input: TaskInput = {
    name: 'a b',
    sources: [
      { source: 'OMS', full: false, databases: ['x/y'], nameService: '' },
      { source: undefined, full: true, databases: [], nameService: '' },
      { source: 'OMS', full: true, databases: [], nameService: '' },
    ],
    targetKnown: false,
    retention: { copies: 0, keepMs: 0, daily: -1, weekly: 1.5, monthly: 1001 },
    schedule: { kind: 'periodic', startMs: -1, periodMs: 120_000 },
    calendarFault: undefined,
    wantedAgeMs: 0,
  };
  expect(taskFaults(input, DEFAULT_LIMITS)).toHaveLength(14);
  const good = {
    ...input,
    name: 'abc',
    sources: [{ source: 'OMS', full: true, databases: ['x'], nameService: '' }],
    targetKnown: true,
    wantedAgeMs: undefined,
  } as const;
  const retention = { copies: 1, keepMs: 1, daily: 0, weekly: 0, monthly: 1000 };
  expect(
    taskFaults({ ...good, retention, schedule: { kind: 'periodic', startMs: 0, periodMs: 120_001 } }, DEFAULT_LIMITS),
  ).toEqual([]);
  expect(taskFaults({ ...good, retention, schedule: undefined }, DEFAULT_LIMITS)).toHaveLength(1);
  expect(
    taskFaults({ ...good, retention, schedule: { kind: 'calendar', cron: '', zone: '' }, calendarFault: 'no' }, DEFAULT_LIMITS),
  ).toEqual(['no']);
});

describe('a run', () => {
  test.each<[string[], ReturnType<typeof outcomeOf>]>([
    [['successful', 'running'], { kind: 'open' }],
    [['failed', 'waiting'], { kind: 'open' }],
    [['successful', 'successful'], { kind: 'ended', state: 'successful', reason: undefined }],
    [['successful', 'failed'], { kind: 'ended', state: 'failed', reason: 's1: why' }],
    [['stopped', 'failed'], { kind: 'ended', state: 'failed', reason: 's1: why' }],
    [['stopped', 'successful'], { kind: 'ended', state: 'stopped', reason: 's0: why' }],
  ])('whose sources are %j', (states, outcome) => {
    expect(outcomeOf(states.map((state, n) => ({ source: `s${n}`, state, reason: 'why' })))).toEqual(outcome);
  });
});

describe('a restore', () => {
  const set = { id: 's', deleting: false, productVersion: '1', topology: ['a: OMS'], sources: ['OMS', 'LdapServer'] };
  const options = { directory: '', otherVersion: false, otherTopology: false };
  const judge = (changes: Partial<Parameters<typeof judgeRestore>[0]>) =>
    judgeRestore({ set, sources: set.sources, options, productVersion: '1', topology: ['a: OMS'], ...changes });

  test('of the same version and topology is neither refused nor warned of', () => {
    expect(judge({})).toEqual({ refusals: [], warnings: [] });
  });

  test('is refused with each reason, and warned of where it was overridden', () => {
    expect(judge({ productVersion: '2', topology: [] }).refusals).toHaveLength(2);
    const overridden = judge({
      productVersion: '2',
      topology: [],
      options: { ...options, otherVersion: true, otherTopology: true },
    });
    expect(overridden.refusals).toEqual([]);
    expect(overridden.warnings).toHaveLength(2);
    expect(judge({ set: { ...set, deleting: true } }).refusals).toHaveLength(1);
    expect(judge({ sources: ['OMS', 'LdapServer', 'NameNode'] }).refusals).toHaveLength(1);
    expect(judge({ sources: ['OMS'] }).warnings).toEqual([expect.stringContaining('belong together')]);
  });
});

test('a chore that fails again and again is tried ever more rarely, unless the other side was only away', () => {
  const lease = 30_000;
  expect([1, 2, 3, 10, 1000].map((times) => retryAfterMs(times, false, lease))).toEqual([
    10_000, 20_000, 40_000, 3_600_000, 3_600_000,
  ]);
  expect(retryAfterMs(1000, true, lease)).toBe(10_000);
});

test('the specifications of default are kept to the byte, and a source without one is never too large', () => {
  const largest = { OMS: 10_000_000n };
  expect([isTooLarge('OMS', 10_000_000n, largest), isTooLarge('OMS', 10_000_001n, largest)]).toEqual([false, true]);
  expect(isTooLarge('Hive', 10n ** 15n, largest)).toBe(false);
  expect(new Set(Object.values(ALARMS).map(({ id }) => id)).size).toBe(Object.keys(ALARMS).length);
});

test.each([0, 120_000, 366 * 24 * HOUR + 1, Number.MAX_SAFE_INTEGER])('a period of %d ms is no period', (periodMs) => {
  const sources = [{ source: 'OMS', full: true, databases: [], nameService: '' }];
  const retention = { copies: 1, keepMs: undefined, daily: 0, weekly: 0, monthly: 0 };
  const task = { name: 'abc', sources, targetKnown: true, retention, calendarFault: undefined, wantedAgeMs: undefined };
  const faults = (schedule: Schedule) => taskFaults({ ...task, schedule }, DEFAULT_LIMITS);
  expect(faults({ kind: 'periodic', startMs: 0, periodMs })).toHaveLength(1);
  expect(faults({ kind: 'periodic', startMs: 0, periodMs: 120_001 })).toEqual([]);
  expect(faults({ kind: 'periodic', startMs: 9e15, periodMs: 120_001 })).toHaveLength(1);
});

describe('a task whose fields have no end', () => {
  const retention = { copies: 1, keepMs: undefined, daily: 0, weekly: 0, monthly: 0 };
  const source = { source: 'NameNode', full: true, databases: [], nameService: '' };
  const good: TaskInput = {
    name: 'abc',
    sources: [source],
    targetKnown: true,
    retention,
    schedule: { kind: 'manual' },
    calendarFault: undefined,
    wantedAgeMs: undefined,
  };
  const century = 100 * 366 * 24 * HOUR;
  const many = (count: number) => Array.from({ length: count }, (_, n) => `db${n}`);
  const calendar = (cron: string): TaskInput => ({ ...good, schedule: { kind: 'calendar', cron, zone: 'UTC' } });

  test.each<[string, TaskInput]>([
    ['a wanted age of more than 100 years', { ...good, wantedAgeMs: century + 1 }],
    ['an age to keep of more than 100 years', { ...good, retention: { ...retention, keepMs: Number(2n ** 63n) * 1000 } }],
    ['a NameService that HDFS would not take', { ...good, sources: [{ ...source, nameService: 'a\0b' }] }],
    ['a NameService of 256 letters', { ...good, sources: [{ ...source, nameService: 'a'.repeat(256) }] }],
    ['101 databases', { ...good, sources: [{ ...source, databases: many(101) }] }],
    ['50,000 databases of one name', { ...good, sources: [{ ...source, databases: many(50_000).fill('a') }] }],
    ['a database twice', { ...good, sources: [{ ...source, databases: ['a', 'b', 'a'] }] }],
    ['a calendar of 3,000,000 letters', calendar(`${'0,'.repeat(1_500_000)}0 2 * * *`)],
  ])('is told %s in one short fault', (_name, input) => {
    expect(taskFaults(input, DEFAULT_LIMITS)).toEqual([expect.stringMatching(/^.{1,250}$/)]);
  });

  test.each<[string, TaskInput]>([
    ['ages of 100 years', { ...good, wantedAgeMs: century, retention: { ...retention, keepMs: century } }],
    ['a NameService of 255 letters', { ...good, sources: [{ ...source, nameService: 'a'.repeat(255) }] }],
    ['100 databases', { ...good, sources: [{ ...source, databases: many(100) }] }],
    ['a calendar of every other minute', calendar(`${Array.from({ length: 30 }, (_, n) => n * 2).join(',')} 2 * * *`)],
  ])('may have %s', (_name, input) => expect(taskFaults(input, DEFAULT_LIMITS)).toEqual([]));
});
