import { describe, expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { SetState, TaskState } from '#common/gen/holdfast/v1/admin.ts';
import type { Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { openGrant, permits } from '#common/grant.ts';
import { createPublicKey } from 'node:crypto';
import { clusterOfEach, deletions, waits } from './cluster-of-each.ts';
import { LDAP, OMS, runTask, until, untilEnded } from './cluster.ts';
import { failure, sourceOf, success, vaultFacts } from './fake-agent.ts';

const { cluster, vault, node, task, sets, alarms, logOf } = clusterOfEach();

describe('a run', () => {
  test('gives each source to the agent that offers it, and makes a complete set of their files', async () => {
    const [mn1] = [await vault('mn1'), await vault('mn2')];
    const dn1 = await node();
    await task('nightly', { sources: [OMS, LDAP] });
    const end = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect(end.state, JSON.stringify(end.fault)).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect(end.sources.map(({ source, node: on, state }) => [source, on, state])).toEqual([
      ['OMS', 'dn1', RunState.RUN_STATE_SUCCESSFUL],
      ['LdapServer', 'dn1', RunState.RUN_STATE_SUCCESSFUL],
    ]);
    const [set] = await sets();
    expect(set).toMatchObject({ id: end.setId, task: 'nightly', state: SetState.SET_STATE_COMPLETE, nodes: ['mn1', 'mn2'] });
    expect(set?.files.map(({ source }) => source)).toEqual(['OMS', 'LdapServer']);
    expect(mn1.assigns).toEqual([]);
    expect(dn1.acks).toHaveLength(2);
  });

  test('opens to each source only its own directory of each vault', async () => {
    await vault('mn1');
    await vault('mn2');
    const dn1 = await node();
    await task('nightly', { sources: [OMS, LDAP] });
    await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    const oms = dn1.assigns.find((assign) => sourceOf(assign) === 'OMS');
    const work = oms?.work?.$case === 'backup' ? oms.work.value : undefined;
    expect(work?.vaults.map(({ node: on, active }) => [on, active])).toEqual([
      ['mn1', true],
      ['mn2', false],
    ]);
    for (const access of work?.vaults ?? []) {
      const grant = openGrant(access.grant, createPublicKey(cluster().grantPublicKey), systemClock.now());
      expect(grant).toMatchObject({ agent: 'dn1', vault: access.node, run: oms?.runId, attempt: 1 });
      expect(grant.prefixes).toHaveLength(1);
      expect(grant.prefixes[0]).toMatch(/^nightly_\d{14}\/OMS_\d{14}\/$/);
      expect(permits(grant, 'put', grant.prefixes[0]?.replace('OMS', 'LdapServer') ?? '')).toBe(false);
    }
  });

  test('of which one source fails is failed and says which; what is there is good, as an incomplete set', async () => {
    await vault('mn1');
    await vault('mn2');
    await node({ onAssign: (assign) => (sourceOf(assign) === 'OMS' ? failure('pg_dump is missing') : success(assign)) });
    await task('nightly', { sources: [OMS, LDAP] });
    const end = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect(end.state).toBe(RunState.RUN_STATE_FAILED);
    expect(end.fault?.message).toBe('OMS: pg_dump is missing');
    const [set] = await sets();
    expect(set).toMatchObject({ state: SetState.SET_STATE_INCOMPLETE, missingSources: ['OMS'] });
    expect(await logOf(end.id)).toContain('failed: pg_dump is missing');
  });

  test('does not start with 20 GB or less free on the active vault, and says so', async () => {
    await vault('mn1', { vault: vaultFacts('mn1', 20n * 10n ** 9n) });
    const dn1 = await node();
    await task('nightly');
    const end = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect(end.state).toBe(RunState.RUN_STATE_FAILED);
    expect(end.fault).toMatchObject({ code: 'NO_SPACE' });
    expect(end.fault?.message).toMatch(/mn1 has 20\.0 GB free, and more than 20\.0 GB are required/);
    expect(dn1.assigns).toEqual([]);
    expect(await sets()).toEqual([]);
  });

  test('whose source no agent offers fails saying so, after agents had the time to come', async () => {
    await vault('mn1');
    await task('nightly');
    const end = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect(end.fault?.message).toBe('OMS: no connected agent offers OMS');
  });

  test('is watched from its first state to its last, with progress; the watcher is forgotten', async () => {
    await vault('mn1');
    await vault('mn2');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    const seen: Run[] = [];
    const watching = cluster().client().watchRun({ id });
    watching.on('data', ({ run }: { run: Run }) => seen.push(run));
    const ended = new Promise<void>((resolve) => watching.on('end', resolve));
    await until(() => expect(dn1.assigns).toHaveLength(1));
    const [assign] = dn1.assigns as [Assign];
    const progress = { phase: 'store', doneBytes: 50n, totalBytes: 200n, bytesPerSecond: 10n, estimatedEndMs: 99n };
    dn1.say({ $case: 'progress', value: { assignmentId: assign.assignmentId, attempt: 1, progress } });
    await until(() => expect(seen.at(-1)?.sources[0]?.progress).toEqual(progress));
    expect(seen.at(-1)?.progress).toEqual(progress);
    dn1.say({
      $case: 'progress',
      value: { assignmentId: assign.assignmentId, attempt: 7, progress: { ...progress, doneBytes: 1n } },
    });
    dn1.finish(assign, success(assign));
    await ended;
    expect(seen.at(-1)?.state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect(seen.at(-1)?.progress).toMatchObject({ phase: '', doneBytes: 4000n, totalBytes: 4000n });
    expect(seen.some((run) => run.sources[0]?.progress?.doneBytes === 1n)).toBe(false);
  });

  test('is stopped: its agent is told why, and it ends as stopped', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster().admin().stopRun({ requestId: '', id });
    await until(() => expect(dn1.cancels.map(({ reason }) => reason)).toEqual(['stopped by operator']));
    dn1.finish(dn1.assigns[0] as Assign, {
      $case: 'stopped',
      value: { code: 'STOPPED', message: 'stopped by operator', hint: '' },
    });
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_STOPPED);
  });

  test('of a task that is locked is stopped, and the task is locked', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly', { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } });
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster().admin().lockTask({ requestId: '', name: 'nightly' });
    await until(() => expect(dn1.cancels).toHaveLength(1));
    dn1.finish(dn1.assigns[0] as Assign, { $case: 'stopped', value: { code: 'STOPPED', message: 'locked', hint: '' } });
    await untilEnded(cluster().admin(), id);
    const { task: locked } = await cluster().admin().getTask({ name: 'nightly' });
    expect(locked).toMatchObject({ state: TaskState.TASK_STATE_LOCKED, nextStartMs: 0n });
    const { task: unlocked } = await cluster().admin().unlockTask({ requestId: '', name: 'nightly' });
    expect(unlocked?.nextStartMs).toBeGreaterThan(0n);
  });

  test('waits while another runs, and a task that runs is not run again', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('first');
    await task('second');
    const first = await runTask(cluster().admin(), 'first');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    const second = await runTask(cluster().admin(), 'second');
    await expect(runTask(cluster().admin(), 'first')).rejects.toThrow(/first is running already/);
    const { run } = await cluster().admin().getRun({ id: second });
    expect(run).toMatchObject({ state: RunState.RUN_STATE_WAITING, queuePosition: 1 });
    dn1.finish(dn1.assigns[0] as Assign, success(dn1.assigns[0] as Assign));
    await untilEnded(cluster().admin(), first);
    await until(() => expect(dn1.assigns).toHaveLength(2));
    dn1.finish(dn1.assigns[1] as Assign, success(dn1.assigns[1] as Assign));
    await untilEnded(cluster().admin(), second);
  });
});

describe('an agent', () => {
  test('that stays away longer than the lease ends its share as failed, and its files are cleared under the next attempt', async () => {
    const mn1 = await vault('mn1');
    const mn2 = await vault('mn2');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    const end = await untilEnded(cluster().admin(), id);
    expect(end.state).toBe(RunState.RUN_STATE_FAILED);
    expect(end.sources[0]?.fault?.message).toBe('the agent of dn1 was not heard of for 2 s, and was given up');
    for (const mn of [mn1, mn2]) {
      await until(() => expect(mn.assigns).toHaveLength(1));
      const [{ attempt, runId, work }] = mn.assigns as [Assign];
      expect([runId, attempt]).toEqual([id, 2]);
      const prefixes = work?.$case === 'delete' ? work.value.incompletePrefixes : [];
      expect(prefixes[0]).toMatch(/^nightly_\d{14}\/OMS_\d{14}\/$/);
    }

    const back = await node({ running: [dn1.assigns[0]?.assignmentId ?? ''] });
    expect(back.welcome.cancel).toEqual([dn1.assigns[0]?.assignmentId]);
    back.finish(dn1.assigns[0] as Assign, success(dn1.assigns[0] as Assign));
    await until(() => expect(back.acks).toHaveLength(1));
    await until(() => expect(mn1.assigns).toHaveLength(2));
    expect(await sets()).toEqual([]);
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_FAILED);
  });

  test('that comes back within the lease goes on with what it does', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    const back = await node({ running: [dn1.assigns[0]?.assignmentId ?? ''], onAssign: waits });
    expect(back.welcome.cancel).toEqual([]);
    back.finish(dn1.assigns[0] as Assign, success(dn1.assigns[0] as Assign));
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect(back.assigns).toEqual([]);
  });

  test('that never got its assignment is told it again, under the same id', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    const back = await node();
    await untilEnded(cluster().admin(), id);
    expect(back.assigns.map(({ assignmentId }) => assignmentId)).toEqual([dn1.assigns[0]?.assignmentId]);
  });

  test('that ended something while it made its Hello is given work all the same', async () => {
    await vault('mn1');
    const ended = { assignmentId: 'c1', runId: 'c1', attempt: 1, endedMs: 1n, outcome: undefined };
    await node({ running: ['c1'], finished: [ended] });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  });

  test('other than the one it was given to cannot end a share', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    const dn2 = await cluster().agent('dn2');
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn2.finish(dn1.assigns[0] as Assign, success(dn1.assigns[0] as Assign));
    await until(() => expect(dn2.acks).toHaveLength(1));
    const { run } = await cluster().admin().getRun({ id });
    expect(run?.state).toBe(RunState.RUN_STATE_RUNNING);
  });
});

describe('the controller', () => {
  test('stopped in mid-run and started again hears from the agent that it goes on, and ends the run as it would have', async () => {
    await vault('mn1');
    await vault('mn2');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster().stop();
    await cluster().start();
    const assign = dn1.assigns[0] as Assign;
    const finished = { ...assign, endedMs: 1n, outcome: success(assign) };
    const back = await node({ finished: [finished] });
    expect(back.welcome.acknowledged).toEqual([assign.assignmentId]);
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect((await sets()).map((set) => set.runId)).toEqual([id]);
  });

  test('started again, with an agent that never comes back, ends its share after the lease', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster().stop();
    await cluster().start();
    const end = await untilEnded(cluster().admin(), id);
    expect(end.sources[0]?.fault?.message).toContain('dn1');
  });

  test('started again in mid-run waits for the standby before it gives out what its agent never got', async () => {
    await vault('mn1');
    await vault('mn2');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster().stop();
    await cluster().start();
    await vault('mn1');
    const back = await node();
    await vault('mn2');
    await untilEnded(cluster().admin(), id);
    const work = back.assigns.map((assign) => (assign.work?.$case === 'backup' ? assign.work.value.vaults : []));
    expect(work.map((vaults) => vaults.map((access) => access.node))).toEqual([['mn1', 'mn2']]);
  });
});

describe('the sets', () => {
  test('beyond the copies go, the oldest first, only after a good run', async () => {
    let fails = false;
    const mn1 = await vault('mn1');
    const mn2 = await vault('mn2');
    await node({ onAssign: (assign) => (fails ? failure('no') : success(assign)) });
    await task('nightly', { copies: 1 });
    const first = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    fails = true;
    await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect((await sets()).map(({ id }) => id)).toEqual([first.setId]);
    fails = false;
    const third = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    await until(async () => expect((await sets()).map(({ id }) => id)).toEqual([third.setId]));
    for (const mn of [mn1, mn2]) {
      const work = deletions(mn).find(({ files }) => files.length > 0);
      expect(work?.files.map(({ manifest }) => manifest?.key)).toEqual([first.sources[0]?.file?.manifest?.key]);
    }
  });

  test('that the standby lacks are degraded with alarm 12011, and are copied there when it is back', async () => {
    await vault('mn1');
    await node();
    await task('nightly');
    await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect((await sets())[0]).toMatchObject({ state: SetState.SET_STATE_DEGRADED, nodes: ['mn1'] });
    await until(async () => expect((await alarms()).map(({ id, subject }) => [id, subject])).toContainEqual([12011, 'mn2']));
    const mn2 = await vault('mn2');
    await until(async () => expect((await sets())[0]?.state).toBe(SetState.SET_STATE_COMPLETE));
    const [work] = mn2.assigns.map((assign) => (assign.work?.$case === 'mirror' ? assign.work.value : undefined));
    expect([work?.from?.node, work?.to?.node]).toEqual(['mn1', 'mn2']);
    await until(async () => expect((await alarms()).map(({ id }) => id)).not.toContain(12011));
    expect((await alarms(true)).find(({ id }) => id === 12011)?.clearedMs).toBeGreaterThan(0n);
  });

  test('are verified on every vault, and a damaged one is named and not called verified', async () => {
    let damaged = false;
    await vault('mn1');
    await vault('mn2', {
      onAssign: (assign) =>
        damaged ? { $case: 'verify', value: { faults: ['x.tar.zst is damaged'], readBytes: 5n, damage: [] } } : success(assign),
    });
    await node();
    await task('nightly');
    const { setId: id } = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    const good = await cluster().admin().verifySet({ requestId: 'v1', id });
    expect([good.faults, good.readBytes]).toEqual([[], 20n]);
    expect(good.set?.verifiedMs).toBeGreaterThan(0n);
    damaged = true;
    const bad = await cluster().admin().verifySet({ requestId: 'v2', id });
    expect(bad.faults).toEqual(['mn2: x.tar.zst is damaged']);
    expect(bad.set?.verifiedMs).toBe(0n);
    expect(await cluster().admin().verifySet({ requestId: 'v1', id })).toEqual(good);
  });
});

describe('a periodic task', () => {
  const hourly = { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } } as const;

  test('starts when it is due; its failure raises alarm 12034, which the next good run clears', async () => {
    let fails = true;
    await vault('mn1');
    await vault('mn2');
    await node({ onAssign: (assign) => (fails ? failure('disk is gone') : success(assign)) });
    await task('hourly', hourly);
    const runs = async () => (await cluster().admin().listRuns({ task: 'hourly', pageSize: 0, pageToken: '' })).runs;
    cluster().clock.advance(3_600_500);
    await until(async () => expect((await runs()).map(({ state }) => state)).toEqual([RunState.RUN_STATE_FAILED]));
    expect((await alarms()).find(({ id }) => id === 12034)).toMatchObject({ subject: 'hourly', severity: 'major' });
    fails = false;
    cluster().clock.advance(3_600_000);
    await until(async () => expect((await runs())[0]?.state).toBe(RunState.RUN_STATE_SUCCESSFUL));
    expect(await runs()).toHaveLength(2);
    expect((await alarms()).map(({ id }) => id)).not.toContain(12034);
  });

  test('that is more than 120 s late moves to the next period', async () => {
    await vault('mn1');
    const dn1 = await node();
    await task('hourly', hourly);
    const before = await cluster().admin().getTask({ name: 'hourly' });
    cluster().clock.advance(3_600_000 + 125_000);
    await until(async () => {
      const { task: now } = await cluster().admin().getTask({ name: 'hourly' });
      expect(now?.nextStartMs).toBe((before.task?.nextStartMs ?? 0n) + 3_600_000n);
    });
    expect(dn1.assigns).toEqual([]);
  });
});
