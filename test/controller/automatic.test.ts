/** What starts by itself, and what does not: every start that did not happen stands in the history with its reason. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskState, WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';
import type { FakeAgent } from './fake-agent.ts';

const HOUR = 3_600_000;
const { RUN_STATE_RUNNING, RUN_STATE_SKIPPED, RUN_STATE_SUCCESSFUL } = RunState;
let cluster: Cluster;
let dn1: FakeAgent;

beforeEach(async () => {
  cluster = await startCluster();
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  dn1 = await cluster.agent('dn1', { sources: ['OMS'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function create(name: string, changes: Partial<TaskSpec> = {}): Promise<void> {
  const mode = { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } as const;
  await cluster.admin().createTask({ requestId: '', spec: taskSpec(name, { mode, ...changes }) });
}
const get = async (name: string) => (await cluster.admin().getTask({ name })).task;
const runsOf = async (task: string) => (await cluster.admin().listRuns({ task, pageSize: 0, pageToken: '' })).runs;
const statesOf = async (task: string) => (await runsOf(task)).map(({ state }) => state);

describe('an automatic run that is late', () => {
  test('is skipped, and stands in the history and the log with its reason and its time', async () => {
    await create('hourly');
    cluster.clock.advance(HOUR + 125_000);
    await until(async () => expect(await statesOf('hourly')).toEqual([RUN_STATE_SKIPPED]));
    const [skipped] = await runsOf('hourly');
    expect(skipped?.fault?.message).toMatch(
      /^the automatic run of \d{4}-.+Z was skipped: its start is 12\d s late, and 120 s are allowed$/,
    );
    expect(skipped?.fault?.hint).toContain('holdfast task run hourly');
    const { lines } = await cluster.admin().listRunLog({ id: skipped?.id ?? '', pageSize: 0, pageToken: '' });
    expect(lines.map(({ message }) => message)).toEqual([skipped?.fault?.message]);
    expect((await get('hourly'))?.state).toBe(TaskState.TASK_STATE_READY);
    expect(dn1.assigns).toEqual([]);
  });

  test('is made up for once when its task says so, also after the controller was away', async () => {
    await create('hourly', { whenLate: WhenLate.WHEN_LATE_RUN_ONCE });
    await create('other');
    await cluster.stop();
    cluster.clock.advance(5 * HOUR + 600_000);
    await cluster.start();
    for (const node of ['mn1', 'mn2']) await cluster.agent(node, { vault: vaultFacts(node) });
    await cluster.agent('dn1', { sources: ['OMS'] });
    await until(async () => expect(await statesOf('hourly')).toEqual([RUN_STATE_SUCCESSFUL]));
    await until(async () => expect(await statesOf('other')).toEqual([RUN_STATE_SKIPPED]));
    expect(Number((await get('hourly'))?.nextStartMs) - cluster.clock.now()).toBeLessThanOrEqual(HOUR);
  });

  test('is never fired by unlocking', async () => {
    await create('hourly', { whenLate: WhenLate.WHEN_LATE_RUN_ONCE });
    await cluster.admin().lockTask({ requestId: '', name: 'hourly' });
    cluster.clock.advance(3 * HOUR);
    await cluster.admin().unlockTask({ requestId: '', name: 'hourly' });
    const next = Number((await get('hourly'))?.nextStartMs) - cluster.clock.now();
    expect(next).toBeGreaterThan(0);
    // Another task's run shows that the engine has looked since.
    await create('other', { mode: { $case: 'manual', value: {} } });
    await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'other'));
    expect(await runsOf('hourly')).toEqual([]);
  });
});

test('a run whose last one has not ended is skipped, and the other tasks go on', async () => {
  dn1.leave();
  const slow = await cluster.agent('dn1', { sources: ['OMS'], onAssign: () => undefined });
  await create('hourly');
  const id = await runTask(cluster.admin(), 'hourly');
  await until(() => expect(slow.assigns).toHaveLength(1));
  cluster.clock.advance(HOUR + 1000);
  await until(async () => expect(await statesOf('hourly')).toEqual([RUN_STATE_SKIPPED, RUN_STATE_RUNNING]));
  expect((await runsOf('hourly'))[0]?.fault?.message).toContain('its last run has not ended');
  await cluster.admin().stopRun({ requestId: '', id });
});

test('a queue that is full skips automatic runs one by one, and stops nothing else', async () => {
  await cluster[Symbol.asyncDispose]();
  cluster = await startCluster({ limits: { waitingRuns: 1 } });
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  const slow = await cluster.agent('dn1', { sources: ['OMS'], onAssign: () => undefined });
  await create('first', { mode: { $case: 'manual', value: {} } });
  await runTask(cluster.admin(), 'first');
  await until(() => expect(slow.assigns).toHaveLength(1));
  for (const name of ['aaa', 'bbb', 'ccc']) await create(name);
  cluster.clock.advance(HOUR + 1000);
  await until(async () => {
    expect(await statesOf('aaa')).toEqual([RunState.RUN_STATE_WAITING]);
    for (const name of ['bbb', 'ccc']) expect(await statesOf(name)).toEqual([RUN_STATE_SKIPPED]);
  });
  expect((await runsOf('ccc'))[0]?.fault?.message).toContain('1 runs wait already');
});

test('a task that is made anew is not held back by the runs of the deleted one that had its name', async () => {
  await create('hourly');
  await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'hourly'));
  await cluster.admin().deleteTask({ requestId: '', name: 'hourly' });
  await create('hourly', {
    mode: { $case: 'periodic', value: { startMs: BigInt(cluster.clock.now() + 1000), periodSeconds: 3600n } },
  });
  cluster.clock.advance(2000);
  await until(async () => expect(await statesOf('hourly')).toEqual([RUN_STATE_SUCCESSFUL, RUN_STATE_SUCCESSFUL]));
});

describe('a clock that is set', () => {
  test('forward past a start within 120 s of the last one starts nothing, for no time has passed', async () => {
    await create('hourly');
    cluster.clock.advance(HOUR + 1000);
    await until(async () => expect(await statesOf('hourly')).toEqual([RUN_STATE_SUCCESSFUL]));
    cluster.clock.set(HOUR);
    await until(async () => expect(await statesOf('hourly')).toEqual([RUN_STATE_SKIPPED, RUN_STATE_SUCCESSFUL]));
    expect((await runsOf('hourly'))[0]?.fault?.message).toContain('more than 120 s are required');
  });

  test('back by hours does not put the next start off by them', async () => {
    await create('hourly');
    cluster.clock.set(-10 * HOUR);
    await until(async () => expect(Number((await get('hourly'))?.nextStartMs) - cluster.clock.now()).toBeLessThanOrEqual(HOUR));
    expect(await runsOf('hourly')).toEqual([]);
  });
});

test('a controller that was paused does not count its agents as lost', async () => {
  dn1.leave();
  const slow = await cluster.agent('dn1', { sources: ['OMS'], onAssign: () => undefined });
  await create('manual', { mode: { $case: 'manual', value: {} } });
  const id = await runTask(cluster.admin(), 'manual');
  await until(() => expect(slow.assigns).toHaveLength(1));
  // Far beyond the lease of 2 s, all at once: nobody was heard meanwhile, since nobody listened.
  cluster.clock.advance(60_000);
  await create('other', { mode: { $case: 'manual', value: {} } });
  await until(async () =>
    expect(
      (await cluster.admin().listAgents({ pageSize: 0, pageToken: '' })).agents.every(
        ({ lastSeenMs }) => cluster.clock.now() - Number(lastSeenMs) < 2000,
      ),
    ).toBe(true),
  );
  expect((await cluster.admin().getRun({ id })).run?.state).toBe(RUN_STATE_RUNNING);
  await cluster.admin().stopRun({ requestId: '', id });
});

test('a calendar is a mode like the others, and refused with the reason when it cannot be kept', async () => {
  await create('mornings', { mode: { $case: 'calendar', value: { cron: '30 2 * * 1-5', zone: 'Europe/Berlin' } } });
  const task = await get('mornings');
  expect(task?.spec?.mode).toEqual({ $case: 'calendar', value: { cron: '30 2 * * 1-5', zone: 'Europe/Berlin' } });
  expect(Number(task?.nextStartMs)).toBeGreaterThan(cluster.clock.now());
  await expect(create('often', { mode: { $case: 'calendar', value: { cron: '* * * * *', zone: 'UTC' } } })).rejects.toMatchObject(
    {
      details: expect.stringContaining('starts no more than 120 s apart') as string,
    },
  );
});

describe('several tasks at once', () => {
  test('run in the order they were named, or not at all', async () => {
    const manual = { mode: { $case: 'manual', value: {} } } as const;
    await create('aaa', manual);
    await create('bbb', manual);
    await expect(cluster.admin().runTasks({ requestId: '', names: ['aaa', 'zzz'] })).rejects.toMatchObject({
      details: expect.stringContaining('zzz') as string,
    });
    expect(await runsOf('')).toEqual([]);
    const { runs } = await cluster.admin().runTasks({ requestId: 'batch', names: ['bbb', 'aaa'] });
    expect(runs.map(({ task, queuePosition }) => [task, queuePosition])).toEqual([
      ['bbb', 1],
      ['aaa', 2],
    ]);
    const ends = await Promise.all(runs.map(({ id }) => untilEnded(cluster.admin(), id)));
    expect(ends.map(({ state }) => state)).toEqual([RUN_STATE_SUCCESSFUL, RUN_STATE_SUCCESSFUL]);
    expect(Number(ends[1]?.startedMs)).toBeGreaterThanOrEqual(Number(ends[0]?.endedMs));
    expect((await cluster.admin().runTasks({ requestId: 'batch', names: ['bbb', 'aaa'] })).runs.map(({ id }) => id)).toEqual(
      runs.map(({ id }) => id),
    );
  });
});
