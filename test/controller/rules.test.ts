import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayRequest, mayStart } from '#rules/admission.ts';
import { ALARMS, isTooLarge } from '#rules/alarms.ts';
import { outcomeOf } from '#rules/outcome.ts';
import { judgeRestore } from '#rules/restore.ts';
import { retryAfterMs } from '#rules/retry.ts';
import { setsToDelete } from '#rules/retention.ts';
import { nextStart, scheduleOf } from '#rules/schedule.ts';
import type { ScheduledTask } from '#rules/schedule.ts';
import { taskFaults } from '#rules/task.ts';

const HOUR = 3_600_000;
const NOON = 1_795_000_000_000;

const hourly = (changes: Partial<ScheduledTask> = {}): ScheduledTask => ({
  schedule: { kind: 'periodic', startMs: NOON, periodMs: HOUR },
  locked: false,
  nextStartMs: NOON,
  lastStartedMs: undefined,
  open: false,
  ...changes,
});

describe('a periodic task', () => {
  test.each<[string, Partial<ScheduledTask>, number, ReturnType<typeof scheduleOf>['kind'], number?]>([
    ['waits before its time', {}, NOON - 1, 'wait'],
    ['starts when due', {}, NOON, 'start', NOON + HOUR],
    ['starts 120 s late', {}, NOON + 120_000, 'start', NOON + HOUR],
    ['moves on when more than 120 s late', {}, NOON + 120_001, 'skip', NOON + HOUR],
    ['moves over all it missed, not one by one', {}, NOON + 5 * HOUR + 130_000, 'skip', NOON + 6 * HOUR],
    ['moves on while a run of it is open', { open: true }, NOON, 'skip', NOON + HOUR],
    ['moves on 120 s after its last start', { lastStartedMs: NOON - 120_000 }, NOON, 'skip', NOON + HOUR],
    ['starts more than 120 s after its last start', { lastStartedMs: NOON - 120_001 }, NOON, 'start', NOON + HOUR],
    ['starts although its last start lies in the future', { lastStartedMs: NOON + HOUR }, NOON, 'start', NOON + HOUR],
    ['never starts while locked', { locked: true }, NOON, 'wait'],
    ['never starts when manual', { schedule: { kind: 'manual' } }, NOON, 'wait'],
    ['is due again after the clock was a year ahead', { nextStartMs: NOON + 8760 * HOUR }, NOON + 1, 'skip', NOON + HOUR],
    ['does not repeat a start when the clock goes back a little', { nextStartMs: NOON + HOUR }, NOON - 2000, 'wait'],
  ])('%s', (_what, changes, now, kind, next) => {
    const decision = scheduleOf(hourly(changes), now);
    expect(decision.kind).toBe(kind);
    if (decision.kind !== 'wait') expect(decision.next).toBe(next);
  });

  test('has its next start after now, by whole periods from its first', () => {
    const times = fc.integer({ min: 0, max: 4e12 });
    fc.assert(
      fc.property(times, fc.integer({ min: 120_001, max: 366 * 24 * HOUR }), times, (startMs, periodMs, now) => {
        const next = nextStart({ schedule: { kind: 'periodic', startMs, periodMs }, locked: false }, now) ?? 0;
        expect(next).toBeGreaterThan(now);
        expect((next - startMs) % periodMs).toBe(0);
        expect(next === startMs || next - periodMs <= now).toBe(true);
      }),
    );
  });
});

describe('a run', () => {
  const waiting = (count: number) => Array.from({ length: count }, (_, n) => ({ task: `task ${n}`, state: 'waiting' }));

  test('is refused while its task waits or runs, and when 199 others wait', () => {
    expect(mayRequest('task x', waiting(198))).toEqual({ kind: 'accept' });
    expect(mayRequest('task x', waiting(199))).toMatchObject({ kind: 'refuse', full: true });
    expect(mayRequest('task x', [...waiting(198), { task: 'task y', state: 'running' }])).toEqual({ kind: 'accept' });
    expect(mayRequest('task 3', waiting(5))).toMatchObject({ kind: 'refuse', full: false });
  });

  const agents = [
    { node: 'dn2', connected: true, sources: ['OMS'] },
    { node: 'dn1', connected: true, sources: ['OMS'] },
    { node: 'dn0', connected: false, sources: ['OMS'] },
  ];
  const start = (freeBytes: bigint | undefined, connected = true) =>
    mayStart({ sources: ['OMS', 'NameNode'], agents, active: { node: 'mn1', connected, freeBytes }, minimumFreeBytes: 20n });

  test('starts with more than the minimum free, on the first connected agent by name', () => {
    expect(start(20n)).toMatchObject({ kind: 'refuse', noSpace: true });
    expect(start(21n)).toEqual({ kind: 'start', placed: [{ source: 'OMS', node: 'dn1' }], unplaced: ['NameNode'] });
    expect(start(21n, false)).toMatchObject({ kind: 'refuse', noSpace: false });
    expect(start(undefined)).toMatchObject({ kind: 'refuse', noSpace: false });
  });

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

describe('retention', () => {
  const sets = (text: string) => text.split('').map((kind, n) => ({ id: String(n), whole: kind !== 'i', inUse: kind === 'r' }));

  test.each<[string, string, number, string[]]>([
    ['keeps what there is when copies are not reached', 'ww', 2, []],
    ['keeps all while too few are whole', 'wiii', 2, []],
    ['lets the oldest go', 'wwww', 2, ['0', '1']],
    ['does not count incomplete ones', 'wiwi', 2, []],
    ['lets an incomplete one go with what is older', 'iwwiw', 2, ['0', '1']],
    ['spares the one that is read', 'rwww', 1, ['1', '2']],
    ['never goes below one', 'www', 0, ['0', '1']],
  ])('%s', (_what, made, copies, goes) => {
    expect(setsToDelete(sets(made), copies)).toEqual(goes);
  });

  test('always leaves the newest whole set, as many whole ones as wanted, and every one in use', () => {
    const anySets = fc.array(fc.record({ whole: fc.boolean(), inUse: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(anySets, fc.integer({ min: 1, max: 10 }), (given, copies) => {
        const all = given.map((set, n) => ({ ...set, id: String(n) }));
        const goes = setsToDelete(all, copies);
        const left = all.filter(({ id }) => !goes.includes(id));
        const whole = (of: typeof all) => of.filter((set) => set.whole);
        expect(whole(left).at(-1)).toEqual(whole(all).at(-1));
        expect(whole(left).length).toBeGreaterThanOrEqual(Math.min(copies, whole(all).length));
        expect(left).toEqual(expect.arrayContaining(all.filter(({ inUse }) => inUse)));
      }),
    );
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
  expect([isTooLarge('OMS', 10_000_000n), isTooLarge('OMS', 10_000_001n)]).toEqual([false, true]);
  expect(isTooLarge('Hive', 10n ** 15n)).toBe(false);
  expect(new Set(Object.values(ALARMS).map(({ id }) => id)).size).toBe(Object.keys(ALARMS).length);
});

test.each([0, 120_000, 366 * 24 * HOUR + 1, Number.MAX_SAFE_INTEGER])('a period of %d ms is no period', (periodMs) => {
  const sources = [{ source: 'OMS', full: true, databases: [] }];
  const task = { name: 'abc', sources, targetKnown: true, copies: 1 };
  expect(taskFaults({ ...task, schedule: { kind: 'periodic', startMs: 0, periodMs } })).toHaveLength(1);
  expect(taskFaults({ ...task, schedule: { kind: 'periodic', startMs: 0, periodMs: 120_001 } })).toEqual([]);
  expect(taskFaults({ ...task, schedule: { kind: 'periodic', startMs: 9e15, periodMs: 120_001 } })).toHaveLength(1);
});
