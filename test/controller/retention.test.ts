import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import { FAULT_TRAILER } from '#common/fault-trailer.ts';
import { refusalOf, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { hostFacts, success, vaultFacts } from './fake-agent.ts';
import type { AgentOptions, FakeAgent } from './fake-agent.ts';

let cluster: Cluster;
let mn1: FakeAgent;
/** How often the upkeep has asked what is to be deleted. */
let looked = 0;

async function open(settings: Record<string, unknown> = {}): Promise<void> {
  cluster = await startCluster(settings, (store) => ({
    ...store,
    setsToDelete: (limit) => {
      looked += 1;
      return store.setsToDelete(limit);
    },
  }));
  mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  await cluster.agent('dn1', { sources: ['OMS'] });
}
beforeEach(() => open());
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

const create = (copies: number) => cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly', { copies }) });
const backUp = async () => (await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'nightly'))).setId;
const sets = async () => (await cluster.admin().listSets({ task: '', pageSize: 0, pageToken: '' })).sets;
const ids = async () => (await sets()).map(({ id }) => id);
const verdicts = async () => (await cluster.admin().pruneSets({ requestId: '', task: '', dryRun: true })).verdicts;
const deletions = (agent: FakeAgent) =>
  agent.assigns.flatMap(({ work }) => (work?.$case === 'delete' ? [work.value.manifestsOnly] : []));

async function looks(times: number): Promise<void> {
  const before = looked;
  await until(() => expect(looked).toBeGreaterThanOrEqual(before + times));
}
const clockInDoubt = async () =>
  (await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' })).alarms.some(({ id }) => id === 12066);

test('a dry run says of every set why it stays or goes, and changes nothing', async () => {
  await create(3);
  const made = [await backUp(), await backUp(), await backUp()];
  await cluster.admin().modifyTask({ requestId: '', spec: taskSpec('nightly', { copies: 1 }) });
  expect((await verdicts()).map(({ setId, stays, reasons }) => [setId, stays, reasons.join()])).toEqual([
    [made[2], true, 'the newest good set,copy 1 of 1'],
    [made[1], false, 'beyond the 1 newest, and nothing else keeps it'],
    [made[0], false, 'beyond the 1 newest, and nothing else keeps it'],
  ]);
  expect(await ids()).toEqual(made.toReversed());
  const { verdicts: done } = await cluster.admin().pruneSets({ requestId: '', task: 'nightly', dryRun: false });
  expect(done.filter(({ stays }) => !stays).map(({ setId }) => setId)).toEqual([made[1], made[0]]);
  await until(async () => expect(await ids()).toEqual([made[2]]));
  await expect(cluster.admin().pruneSets({ requestId: '', task: 'nobody', dryRun: true })).rejects.toMatchObject({
    details: expect.stringContaining('nobody') as string,
  });
});

test('a pinned set stays beside the copies until it is unpinned', async () => {
  await create(1);
  const first = await backUp();
  expect((await cluster.admin().pinSet({ requestId: '', id: first })).set?.pinned).toBe(true);
  const second = await backUp();
  const third = await backUp();
  await until(async () => expect(await ids()).toEqual([third, first]));
  expect(await ids()).not.toContain(second);
  await cluster.admin().unpinSet({ requestId: '', id: first });
  await cluster.admin().pruneSets({ requestId: '', task: '', dryRun: false });
  await until(async () => expect(await ids()).toEqual([third]));
});

test('a pinned set is not deleted by hand either', async () => {
  await create(1);
  const id = await backUp();
  await cluster.admin().pinSet({ requestId: '', id });
  const refusal = await refusalOf(cluster.admin().deleteSet({ requestId: '', id }));
  expect([refusal.code, refusal.details]).toEqual([status.FAILED_PRECONDITION, `the set ${id} is pinned`]);
  expect(String(refusal.metadata.get(FAULT_TRAILER)[0])).toContain(`holdfast set unpin ${id}`);
  await cluster.admin().unpinSet({ requestId: '', id });
  expect((await cluster.admin().deleteSet({ requestId: '', id })).set?.state).toBe(SetState.SET_STATE_DELETING);
});

test('the sets of a task that is gone stay, and so do those of its namesake before', async () => {
  await create(1);
  const old = await backUp();
  await cluster.admin().deleteTask({ requestId: '', name: 'nightly' });
  expect((await verdicts())[0]).toMatchObject({
    setId: old,
    stays: true,
    reasons: ['its task is gone: it is deleted by hand only'],
  });
  cluster.clock.advance(1000);
  await create(1);
  const newer = [await backUp(), await backUp()];
  await until(async () => expect(await ids()).toEqual([newer[1], old]));
});

test('sets that a new active management node lacks stay as long as they would have stayed', async () => {
  const retention = { keepSeconds: 86_400n, daily: 0, weekly: 0, monthly: 0 };
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly', { copies: 1, retention }) });
  const old = [await backUp(), await backUp()];
  await cluster.stop();
  await cluster.start({ managementNodes: { active: 'mn3', standby: 'mn2' } });
  const onAssign: AgentOptions['onAssign'] = (assign) => (assign.work?.$case === 'mirror' ? undefined : success(assign));
  await cluster.agent('mn3', { vault: vaultFacts('mn3'), onAssign });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  await cluster.agent('dn1', { sources: ['OMS'] });
  const newest = await backUp();
  // They are being read as well: what mirrors them does not end.
  expect((await verdicts()).map(({ setId, reasons }) => [setId, reasons.includes('younger than 1 days')])).toEqual([
    [newest, true],
    [old[1], true],
    [old[0], true],
  ]);
});

describe('a deletion', () => {
  test('takes the manifests at once and the bytes after the grace period, in each vault', async () => {
    await cluster[Symbol.asyncDispose]();
    await open({ deletionGrace: '1h' });
    await create(1);
    const first = await backUp();
    const second = await backUp();
    await until(() => expect(deletions(mn1)).toEqual([true]));
    expect((await sets()).map(({ id, state }) => [id, state])).toEqual([
      [second, SetState.SET_STATE_COMPLETE],
      [first, SetState.SET_STATE_DELETING],
    ]);
    cluster.clock.advance(3_600_000);
    await until(async () => expect(await ids()).toEqual([second]));
    expect(deletions(mn1)).toEqual([true, false]);
  });

  test('that is asked for again goes on as it was, and its grace period does not begin anew', async () => {
    await cluster[Symbol.asyncDispose]();
    await open({ deletionGrace: '1h' });
    await create(1);
    const id = await backUp();
    const remove = () => cluster.admin().deleteSet({ requestId: '', id });
    await remove();
    await until(() => expect(deletions(mn1)).toEqual([true]));
    cluster.clock.advance(1_800_000);
    expect((await remove()).set?.state).toBe(SetState.SET_STATE_DELETING);
    cluster.clock.advance(1_800_000);
    await until(async () => expect(await ids()).toEqual([]));
    expect(deletions(mn1)).toEqual([true, false]);
  });

  test('waits with the bytes while the clock is in doubt, however far it was set forward', async () => {
    await cluster[Symbol.asyncDispose]();
    await open({ deletionGrace: '1h' });
    await create(1);
    const id = await backUp();
    await cluster.admin().deleteSet({ requestId: '', id });
    await until(() => expect(deletions(mn1)).toEqual([true]));
    cluster.clock.set(48 * 3_600_000);
    await until(async () => expect(await clockInDoubt()).toBe(true));
    await looks(3);
    expect(deletions(mn1)).toEqual([true]);
    // A vault whose clock says the same ends the doubt.
    mn1.leave();
    mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1'), host: hostFacts(cluster.clock.now()) });
    await until(async () => expect(await ids()).toEqual([]));
  });

  test('that began by a clock that was ahead counts its grace period from when that was set right', async () => {
    await cluster[Symbol.asyncDispose]();
    await open({ deletionGrace: '1h' });
    await create(1);
    const id = await backUp();
    await cluster.admin().deleteSet({ requestId: '', id });
    await until(() => expect(deletions(mn1)).toEqual([true]));
    cluster.clock.set(-120_000);
    await looks(3);
    cluster.clock.advance(3_600_000);
    await until(async () => expect(await ids()).toEqual([]));
  });

  test('that was interrupted goes on where it was, also after the controller died', async () => {
    let refuses = true;
    mn1.leave();
    mn1 = await cluster.agent('mn1', {
      vault: vaultFacts('mn1'),
      onAssign: (assign) => (refuses && assign.work?.$case === 'delete' ? undefined : success(assign)),
    });
    await create(1);
    await backUp();
    const second = await backUp();
    await until(() => expect(deletions(mn1)).toEqual([true]));
    await cluster.stop();
    await cluster.start();
    refuses = false;
    mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1') });
    await cluster.agent('mn2', { vault: vaultFacts('mn2') });
    await until(async () => expect(await ids()).toEqual([second]));
    expect(deletions(mn1)).toEqual([true, false]);
  });
});

describe('while the clock is in doubt', () => {
  test('for a vault that differs by more than 5 minutes, nothing goes', async () => {
    mn1.leave();
    // At each of its heartbeats: one that tells no clock in between would end the doubt.
    mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1'), host: hostFacts(cluster.clock.now() - 400_000) });
    await create(1);
    const made = [await backUp(), await backUp()];
    await until(async () =>
      expect(
        (await verdicts()).every(({ stays, reasons }) => stays && reasons.at(-1)?.includes('the clock of mn1 differs') === true),
      ).toBe(true),
    );
    await cluster.admin().pruneSets({ requestId: '', task: '', dryRun: false });
    expect((await sets()).map(({ id, state }) => [id, state])).toEqual(
      made.toReversed().map((id) => [id, SetState.SET_STATE_COMPLETE]),
    );
  });

  test('for it was set back, nothing goes', async () => {
    await create(1);
    const made = [await backUp()];
    cluster.clock.set(-600_000);
    made.push(await backUp());
    expect((await verdicts()).map(({ stays }) => stays)).toEqual([true, true]);
    expect((await verdicts())[0]?.reasons.at(-1)).toMatch(/the clock was set back|the clock has jumped/);
    expect((await ids()).toSorted()).toEqual(made.toSorted());
  });
});

test('every number of the rules is a setting that can be read back, with its default', async () => {
  const { settings } = await cluster.admin().getConfig({});
  const of = (name: string) => settings.find((setting) => setting.name === name);
  expect(of('limits.waitingRuns')).toEqual({
    name: 'limits.waitingRuns',
    value: '199',
    defaultValue: '199',
    meaning: 'Runs that may wait. Documented: 199.',
  });
  expect(of('minimumFree')).toMatchObject({ value: '20 GB', defaultValue: '20 GB' });
  expect(of('deletionGrace')).toMatchObject({ value: '0s', defaultValue: '1h' });
  expect(settings.filter(({ meaning }) => meaning === '')).toEqual([]);
});
