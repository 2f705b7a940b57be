/** The user's side of the rules: when a task runs, what is kept, what was skipped, what goes, and by which settings. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { startFake } from './fake-controller.ts';
import type { FakeController } from './fake-controller.ts';
import { AT, run, set, task } from './samples.ts';

let fake: FakeController;
beforeAll(async () => {
  fake = await startFake();
});
afterAll(() => fake[Symbol.asyncDispose]());
beforeEach(() => {
  fake.requests.clear();
  fake.answers = {};
});

const CALENDAR: TaskSpec = {
  ...task().spec!,
  mode: { $case: 'calendar', value: { cron: '30 2 * * 1-5', zone: 'Europe/Berlin' } },
  whenLate: WhenLate.WHEN_LATE_RUN_ONCE,
  retention: { keepSeconds: 2_592_000n, daily: 7, weekly: 4, monthly: 12 },
  wantedAgeSeconds: 93_600n,
};
const sent = (method: string) => (fake.requests.get(method) as { spec: TaskSpec }[])[0]?.spec;

async function modify(from: TaskSpec, ...options: string[]) {
  fake.answers = { getTask: () => ({ task: task({ spec: from }) }), modifyTask: () => ({ task: task({ spec: from }) }) };
  const outcome = await fake.run('task', 'modify', 'nightly', ...options);
  return { ...outcome, spec: sent('modifyTask') };
}

describe('a task by a calendar', () => {
  test('is created with all that the options say', async () => {
    fake.answers = { createTask: () => ({ task: task({ spec: CALENDAR }) }) };
    const late = ['--when-late', 'run-once', '--wanted-age', '26h'];
    const keeps = ['--copies', '3', '--keep-for', '30d', '--daily', '7', '--weekly', '4', '--monthly', '12'];
    const when = ['--cron', '30 2 * * 1-5', '--zone', 'Europe/Berlin'];
    const { status } = await fake.run('task', 'create', 'nightly', '--source', 'OMS', ...when, ...late, ...keeps);
    expect(status).toBe(0);
    const { mode, whenLate, retention, wantedAgeSeconds, copies } = CALENDAR;
    expect(sent('createTask')).toMatchObject({ mode, whenLate, retention, wantedAgeSeconds, copies });
  });

  test('is shown with its zone, what it keeps and how old it may become', async () => {
    fake.answers = { getTask: () => ({ task: task({ spec: CALENDAR, locked: true, lockedSinceMs: AT }) }) };
    const { out } = await fake.run('task', 'show', 'nightly');
    expect(out).toMatch(/^mode +30 2 \* \* 1-5 Europe\/Berlin$/m);
    expect(out).toMatch(/^when late +run-once$/m);
    expect(out).toMatch(/^keeps +3 copies, younger than 30d, 7 daily, 4 weekly, 12 monthly$/m);
    expect(out).toMatch(/^wanted age +26h$/m);
    expect(out).toMatch(/^locked since +2026-11-24T09:30:00Z$/m);
    expect(JSON.parse((await fake.run('task', 'show', 'nightly', '--json')).out)).toMatchObject({
      mode: 'calendar',
      cron: '30 2 * * 1-5',
      zone: 'Europe/Berlin',
      periodSeconds: null,
      whenLate: 'run-once',
      copies: 3,
      keepSeconds: '2592000',
      daily: 7,
      weekly: 4,
      monthly: 12,
      wantedAgeSeconds: '93600',
      lockedSince: '2026-11-24T09:30:00Z',
    });
  });

  test('that is modified keeps what is not given, each of it', async () => {
    expect((await modify(CALENDAR, '--zone', 'UTC')).spec).toEqual({
      ...CALENDAR,
      mode: { $case: 'calendar', value: { cron: '30 2 * * 1-5', zone: 'UTC' } },
    });
    fake.requests.clear();
    expect((await modify(CALENDAR, '--weekly', '5')).spec).toEqual({
      ...CALENDAR,
      retention: { ...CALENDAR.retention, weekly: 5 },
    });
  });

  test('becomes one by a period, or by hand, when that is given', async () => {
    expect((await modify(CALENDAR, '--every', '12h')).spec?.mode).toEqual({
      $case: 'periodic',
      value: { periodSeconds: 43_200n, startMs: 0n },
    });
    fake.requests.clear();
    expect((await modify(CALENDAR, '--manual')).spec?.mode?.$case).toBe('manual');
  });

  test('gives up what it kept by age with none', async () => {
    const { spec } = await modify(CALENDAR, '--keep-for', 'none', '--wanted-age', 'none');
    expect(spec).toMatchObject({ wantedAgeSeconds: 0n, retention: { ...CALENDAR.retention, keepSeconds: 0n } });
  });

  test.each([
    [['--cron', '0 2 * * *'], /--cron needs the zone/, /Add --zone/],
    [['--zone', 'UTC'], /--zone needs a calendar/, /Add --cron/],
    [['--cron', '0 2 * * *', '--zone', 'UTC', '--every', '1d'], /--every and --cron and --zone exclude/, /give one of them/],
    [['--start', '2026-12-01T00:00:00Z'], /--start needs a period/, /Add --every/],
    [['--every', '1d', '--when-late', 'never'], /--when-late "never" is not known/, /postpone, run-once/],
    [['--daily', 'many'], /--daily "many" is not a whole number/, /--daily 3/],
    [['--keep-for', 'ever'], /"ever" is not a duration/, /"24h"/],
  ])('with %j is refused before anything is sent, with what to do', async (options, message, next) => {
    const { status, err } = await fake.run('task', 'create', 'nightly', '--source', 'OMS', ...options);
    expect(status).toBe(2);
    expect(err).toMatch(message);
    expect(err.split('\n').find((line) => line.startsWith('next: '))).toMatch(next);
    expect(fake.requests.size).toBe(0);
  });
});

describe('several tasks', () => {
  const ended = (id: string, state: RunState) =>
    run(state, { id, task: id === 'r1' ? 'one' : 'two', fault: state === RunState.RUN_STATE_FAILED ? FAULT : undefined });
  const FAULT = { code: 'NO_SPACE', message: 'store OMS: the vault is full', hint: 'Free some.' };

  test('are asked for in one request', async () => {
    const waiting = run(RunState.RUN_STATE_WAITING, { id: 'r2', queuePosition: 1, sources: [] });
    fake.answers = { runTasks: () => ({ runs: [run(RunState.RUN_STATE_RUNNING), waiting] }) };
    const { status, out, err } = await fake.run('task', 'run', 'one', 'two', '--json');
    expect(status).toBe(0);
    expect(fake.requests.get('runTasks')).toMatchObject([{ names: ['one', 'two'] }]);
    expect((JSON.parse(out) as { id: string }[]).map(({ id }) => id)).toEqual(['r1', 'r2']);
    expect(err).toMatch(/run r2 of the task nightly: waiting, number 1 in the queue/);
  });

  test('are waited for to the end of the last; one that failed decides the status', async () => {
    const { RUN_STATE_WAITING, RUN_STATE_SUCCESSFUL, RUN_STATE_FAILED } = RunState;
    fake.answers = {
      runTasks: () => ({ runs: [ended('r1', RUN_STATE_WAITING), ended('r2', RUN_STATE_WAITING)] }),
      watchRun: ({ id }: { id: string }) => [{ run: ended(id, id === 'r1' ? RUN_STATE_FAILED : RUN_STATE_SUCCESSFUL) }],
    };
    const { status, out, err } = await fake.run('task', 'run', 'one', 'two', '--wait');
    expect(status).toBe(9);
    expect(fake.requests.get('watchRun')).toMatchObject([{ id: 'r1' }, { id: 'r2' }]);
    expect(out).toMatch(/^state +failed$/m);
    expect(out).toMatch(/^state +successful$/m);
    expect(err).toMatch(/error: the run r1 of one failed: store OMS: the vault is full\nnext: Free some\./);
  });

  test('that name one twice are refused', async () => {
    expect(await fake.run('task', 'run', 'one', 'one')).toMatchObject({ status: 2, err: expect.stringContaining('named twice') });
    expect(fake.requests.size).toBe(0);
  });
});

describe('a run that was skipped', () => {
  const text = 'the automatic run of 2026-11-24T09:25:00Z was skipped: its start is 300 s late, and 120 s are allowed';
  const fault = { code: 'REFUSED', message: text, hint: 'Run it by hand if it is wanted now: holdfast task run nightly' };
  const skipped = run(RunState.RUN_STATE_SKIPPED, { sources: [], setId: '', startedMs: 0n, endedMs: AT, fault });

  test('stands in the list with its time and its reason, as one that failed does', async () => {
    const failed = run(RunState.RUN_STATE_FAILED, { id: 'r0', fault: { ...fault, message: 'OMS: no\n such server' } });
    fake.answers = { listRuns: () => ({ runs: [skipped, failed], nextPageToken: '' }) };
    const lines = (await fake.run('run', 'list')).out.split('\n');
    expect(lines[1]).toMatch(
      /^r1 .* skipped +\S+ +2026-11-24T09:30:00Z .* was skipped: its start is 300 s late, and 120 s are allowed$/,
    );
    expect(lines[2]).toMatch(/^r0 .* failed .* OMS: no such server$/);
  });

  test('is shown with its reason and what to do', async () => {
    fake.answers = { getRun: () => ({ run: skipped }) };
    const { out } = await fake.run('run', 'show', 'r1');
    expect(out).toMatch(/^state +skipped$/m);
    expect(out).toMatch(/^reason +the automatic run of/m);
    expect(out).toMatch(/^next +Run it by hand/m);
  });

  test('ends whoever watches it, with 4 and its reason', async () => {
    fake.answers = { watchRun: () => [{ run: skipped }] };
    const { status, err } = await fake.run('run', 'watch', 'r1');
    expect(status).toBe(4);
    expect(err).toMatch(/error: the run r1 of nightly was skipped: the automatic run of/);
  });
});

test('runs that wait are listed with their places', async () => {
  const waiting = run(RunState.RUN_STATE_WAITING, { sources: [], queuePosition: 3, startedMs: 0n });
  fake.answers = { listRuns: () => ({ runs: [waiting], nextPageToken: '' }) };
  expect((await fake.run('run', 'list')).out).toMatch(/waiting, number 3 in the queue/);
});

describe('set prune', () => {
  const verdict = (setId: string, stays: boolean) => ({
    setId,
    task: 'nightly',
    createdMs: AT,
    stays,
    reasons: stays ? ['the newest good set', 'copy 1 of 1'] : ['beyond the 1 newest, and nothing else keeps it'],
  });
  const answer = () => ({ verdicts: [verdict('s2', true), verdict('s1', false)] });

  test('as a dry run says of each set why, asks nobody and deletes nothing', async () => {
    fake.answers = { pruneSets: answer };
    const { status, out, err } = await fake.run('set', 'prune', 'nightly', '--dry-run');
    expect(status).toBe(0);
    expect(out).toMatch(/^s2 +nightly +2026-11-24T09:30:00Z +stays +the newest good set; copy 1 of 1$/m);
    expect(out).toMatch(/^s1 +nightly +2026-11-24T09:30:00Z +goes +beyond the 1 newest/m);
    expect(err).toBe('of 2 sets 1 stay and 1 go; nothing was deleted\n');
    expect(fake.requests.get('pruneSets')).toMatchObject([{ task: 'nightly', dryRun: true }]);
    const { out: json } = await fake.run('set', 'prune', '--dry-run', '--json');
    expect(JSON.parse(json)[1]).toMatchObject({ setId: 's1', created: '2026-11-24T09:30:00Z', stays: false });
  });

  test('without a person deletes nothing, and with --yes what is judged then', async () => {
    fake.answers = { pruneSets: answer };
    const refused = await fake.run('set', 'prune');
    expect(refused.status).toBe(4);
    expect(refused.err).toMatch(/delete these 1 backup file sets .*\nnext: Add --yes/);
    expect(fake.requests.get('pruneSets')).toMatchObject([{ dryRun: true }]);
    const { status, err } = await fake.run('set', 'prune', '--yes');
    expect(status).toBe(0);
    expect(err).toBe('of 2 sets 1 stay and 1 go; those are being deleted\n');
    expect(fake.requests.get('pruneSets')?.at(-1)).toMatchObject({ task: '', dryRun: false });
  });

  test('with nothing to delete asks nobody', async () => {
    fake.answers = { pruneSets: () => ({ verdicts: [verdict('s2', true)] }) };
    const { status, err } = await fake.run('set', 'prune');
    expect({ status, err }).toEqual({ status: 0, err: 'of 1 sets 1 stay and 0 go; nothing was deleted\n' });
  });
});

describe('a pin', () => {
  test.each([
    ['pin', 'pinSet', true],
    ['unpin', 'unpinSet', false],
  ])('set %s says so and shows the set', async (verb, method, pinned) => {
    fake.answers = { [method]: () => ({ set: set({ pinned }) }) };
    const { status, out } = await fake.run('set', verb, 's1');
    expect(status).toBe(0);
    expect(out).toMatch(pinned ? /^state +complete, pinned$/m : /^state +complete$/m);
    expect(fake.requests.get(method)).toMatchObject([{ id: 's1' }]);
  });

  test('is seen in the list', async () => {
    fake.answers = { listSets: () => ({ sets: [set({ pinned: true })], nextPageToken: '' }) };
    expect((await fake.run('set', 'list')).out).toMatch(/^s1 .* complete, pinned /m);
  });
});

describe('set import', () => {
  test('tells what it found', async () => {
    fake.answers = { getSpace: () => ({ nodes: [] }), importSets: () => ({ importedSets: 7, knownSets: 2, faults: [] }) };
    const { status, out } = await fake.run('set', 'import');
    expect({ status, out }).toEqual({ status: 0, out: 'imported sets  7\nknown already  2\n' });
  });

  test('with a damaged manifest tells the rest all the same, and ends with 8', async () => {
    const faults = ['mn2: read a/manifest.json: not JSON'];
    fake.answers = { getSpace: () => ({ nodes: [] }), importSets: () => ({ importedSets: 7, knownSets: 0, faults }) };
    const { status, out, err } = await fake.run('set', 'import', '--json');
    expect(status).toBe(8);
    expect(JSON.parse(out)).toEqual({ importedSets: 7, knownSets: 0, faults });
    expect(err).toMatch(/error: 1 manifest\(s\) in the vaults do not count, the first: mn2: .*\nnext: All others were imported/);
  });
});

describe('config show', () => {
  const settings = [
    { name: 'limits.waitingRuns', value: '199', defaultValue: '199', meaning: 'Runs that may wait.' },
    { name: 'minimumFree', value: '1 GB', defaultValue: '20 GB', meaning: 'More than this must be free.' },
    { name: 'listen.port', value: '25700', defaultValue: '', meaning: 'Its port.' },
  ];
  beforeEach(() => {
    fake.answers = { getConfig: () => ({ settings }) };
  });

  test('marks what differs from its default', async () => {
    const { out, err } = await fake.run('config', 'show');
    expect(out).toMatch(/^ +limits\.waitingRuns +199 +199 +Runs that may wait\.$/m);
    expect(out).toMatch(/^\* +minimumFree +1 GB +20 GB +More/m);
    expect(out).toMatch(/^ +listen\.port +25700 +- +Its port\.$/m);
    expect(err).toBe('* differs from the default\n');
  });

  test('marks nothing that is not in force: it has a default and no value', async () => {
    const idle = { name: 'catalogue.postgres.idleInTransaction', value: '', defaultValue: '5s', meaning: 'Of PostgreSQL.' };
    fake.answers = { getConfig: () => ({ settings: [idle] }) };
    const { out, err } = await fake.run('config', 'show');
    expect([out.split('\n')[1]?.trim(), err]).toEqual([
      expect.stringMatching(/^catalogue\.postgres\.idleInTransaction +- +5s /),
      '',
    ]);
    expect(JSON.parse((await fake.run('config', 'show', '--json')).out)).toMatchObject([{ differs: false }]);
  });

  test.each([
    ['LIMITS', ['limits.waitingRuns']],
    ['*.port', ['listen.port']],
    ['min', ['minimumFree']],
    ['li*', ['limits.waitingRuns', 'listen.port']],
    ['t', ['limits.waitingRuns', 'listen.port']],
  ])('%s shows %j', async (pattern, names) => {
    const shown = JSON.parse((await fake.run('config', 'show', pattern, '--json')).out) as { name: string; differs: boolean }[];
    expect(shown.map(({ name }) => name)).toEqual(names);
  });

  test('without a match is not found', async () => {
    expect(await fake.run('config', 'show', 'a.b')).toMatchObject({ status: 3, out: '' });
  });
});
