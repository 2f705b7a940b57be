/** The alarms about how things stand: each is seen to rise and to fall. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskTime } from '#common/clock.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { hostFacts, success, vaultFacts } from './fake-agent.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
let cluster: Cluster;

beforeEach(async () => {
  cluster = await startCluster();
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

const hourly: Partial<TaskSpec> = { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } };
const create = (name: string, spec: Partial<TaskSpec> = hourly) =>
  cluster.admin().createTask({ requestId: '', spec: taskSpec(name, spec) });
async function up(id: number): Promise<string[]> {
  const { alarms } = await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' });
  return alarms.filter((alarm) => alarm.id === id).map(({ subject, detail }) => `${subject}: ${detail}`);
}
test('12059 is up while a task has never been backed up, and 12060 when its newest good set is too old', async () => {
  const dn1 = await cluster.agent('dn1', { sources: ['OMS'], onAssign: () => undefined });
  await create('hourly');
  cluster.clock.advance(HOUR + 400_000);
  expect(await up(12059)).toEqual([]);
  cluster.clock.advance(HOUR);
  await until(async () => expect(await up(12059)).toEqual(['hourly: no run of it has succeeded since it was made 2 h ago']));
  dn1.leave();
  await cluster.agent('dn1', { sources: ['OMS'] });
  await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'hourly'));
  cluster.clock.advance(20_000);
  await until(async () => expect(await up(12059)).toEqual([]));
  expect(await up(12060)).toEqual([]);

  await cluster.admin().lockTask({ requestId: '', name: 'hourly' });
  cluster.clock.advance(2 * HOUR);
  await until(async () => expect(await up(12060)).toEqual(['hourly: its newest good set is 2 h old, and 2 h are allowed']));
  await cluster.admin().deleteTask({ requestId: '', name: 'hourly' });
  cluster.clock.advance(20_000);
  await until(async () => expect(await up(12060)).toEqual([]));
});

test('12059 is up of a task with a calendar whose starts were all skipped', async () => {
  // Half a day from now, so that no start is missed by a little only.
  const hour = (Number(diskTime(cluster.clock.now()).slice(8, 10)) + 12) % 24;
  await create('nightly', { mode: { $case: 'calendar', value: { cron: `30 ${hour} * * *`, zone: 'UTC' } } });
  cluster.clock.advance(DAY + HOUR);
  await until(async () => {
    const { runs } = await cluster.admin().listRuns({ task: 'nightly', pageSize: 0, pageToken: '' });
    expect(runs.map(({ fault }) => fault?.message)).toEqual([expect.stringContaining('was skipped')]);
  });
  expect(await up(12059)).toEqual([]);
  cluster.clock.advance(DAY + HOUR);
  await until(async () => expect(await up(12059)).toEqual(['nightly: no run of it has succeeded since it was made 2 days ago']));
});

test('12061 is up of a task that was locked for a week, until it is unlocked', async () => {
  await create('paused');
  await cluster.admin().lockTask({ requestId: '', name: 'paused' });
  cluster.clock.advance(7 * DAY + 1000);
  await until(async () => expect(await up(12061)).toEqual(['paused: it has been locked for 7 days, and does not run by itself']));
  await cluster.admin().unlockTask({ requestId: '', name: 'paused' });
  cluster.clock.advance(20_000);
  await until(async () => expect(await up(12061)).toEqual([]));
});

test('12063 is up of an agent that left, until it is back', async () => {
  const dn1 = await cluster.agent('dn1', { sources: ['OMS'] });
  expect(await up(12063)).toEqual([]);
  dn1.leave();
  await until(async () => expect(await up(12063)).toEqual(['dn1: the agent of dn1 is not connected']));
  await cluster.agent('dn1', { sources: ['OMS'] });
  await until(async () => expect(await up(12063)).toEqual([]));
});

test('12064 is up of a certificate that ends within 30 days', async () => {
  await until(async () =>
    expect((await up(12064)).map((line) => line.replace(/in \d+ h/, 'soon'))).toEqual(['controller: it expires soon']),
  );
});

test('12065 is up of a set that failed its verification, until it passes one', async () => {
  let damaged = true;
  await cluster.agent('mn2', {
    vault: vaultFacts('mn2'),
    onAssign: (assign) =>
      damaged ? { $case: 'verify', value: { faults: ['x.tar.zst is damaged'], readBytes: 5n, damage: [] } } : success(assign),
  });
  await cluster.agent('dn1', { sources: ['OMS'] });
  await create('manual', {});
  const { setId: id } = await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'manual'));
  await cluster.admin().verifySet({ requestId: '', id });
  expect(await up(12065)).toEqual([`${id}: mn2: x.tar.zst is damaged`]);
  damaged = false;
  await cluster.admin().verifySet({ requestId: '', id });
  expect(await up(12065)).toEqual([]);
});

test('12066 is up while the clock is in doubt', async () => {
  await cluster.agent('dn1', { sources: ['OMS'] });
  await create('manual', {});
  await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'manual'));
  cluster.clock.set(-HOUR);
  await until(async () =>
    expect((await up(12066))[0]).toMatch(/^controller: the catalogue knows a time 3\d\d\d s in the future/),
  );
  // Setting it right is a jump like any other, until a vault that was heard since agrees.
  cluster.clock.set(HOUR);
  const mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  expect(await up(12066)).toHaveLength(1);
  mn1.say({ $case: 'heartbeat', value: { host: hostFacts(cluster.clock.now()), vault: vaultFacts('mn1') } });
  await until(async () => expect(await up(12066)).toEqual([]));
});
