import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { systemClock } from '#common/clock.ts';
import type { Assign, BackupDone, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { LDAP, OMS, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { failure, fileOf, sourceOf, success, vaultFacts } from './fake-agent.ts';
import type { AgentOptions, FakeAgent } from './fake-agent.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster();
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

const vault = (node: string, options: Partial<AgentOptions> = {}) => cluster.agent(node, { vault: vaultFacts(node), ...options });
const node = (options: Partial<AgentOptions> = {}) => cluster.agent('dn1', { sources: ['OMS', 'LdapServer'], ...options });
const waits = () => undefined;
const all = { task: '', pageSize: 0, pageToken: '' };
const task = (name: string, changes: Parameters<typeof taskSpec>[1] = {}) =>
  cluster.admin().createTask({ requestId: '', spec: taskSpec(name, changes) });
const sets = async () => (await cluster.admin().listSets(all)).sets;
const runs = async () => (await cluster.admin().listRuns(all)).runs;
const alarmsUp = async () => (await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' })).alarms;
const backUp = async (name: string) => untilEnded(cluster.admin(), await runTask(cluster.admin(), name));
const logOf = async (id: string) =>
  (await cluster.admin().listRunLog({ id, pageSize: 0, pageToken: '' })).lines.map(({ message }) => message);
const told = (agent: FakeAgent, kind: string) => agent.assigns.filter(({ work }) => work?.$case === kind);
const deletions = (agent: FakeAgent) => agent.assigns.flatMap(({ work }) => (work?.$case === 'delete' ? [work.value] : []));
const cleared = (agent: FakeAgent) => deletions(agent).flatMap(({ incompletePrefixes }) => incompletePrefixes);

async function refusalOf(doing: Promise<unknown>): Promise<ServiceError> {
  return doing.then(
    () => expect.unreachable('it was accepted'),
    (error: unknown) => error as ServiceError,
  );
}

describe('an agent that says it has ended', () => {
  const reports = (change: (done: BackupDone) => BackupDone) => (assign: Assign) => {
    const outcome = success(assign);
    return outcome?.$case === 'backup' ? { $case: 'backup' as const, value: change(outcome.value) } : outcome;
  };
  const elsewhere = (key: string) => key.replace(/^[^/]+/, 'default_20260101000000');

  test.each<[string, AgentOptions['onAssign'], RegExp]>([
    [
      'with a manifest that is not its own',
      reports(({ file, ...rest }) => {
        const manifest = file?.manifest && { ...file.manifest, key: elsewhere(file.manifest.key) };
        return { ...rest, file: file && { ...file, manifest } };
      }),
      /names "default_20260101000000/,
    ],
    [
      'with an archive that is not its own',
      reports(({ file, ...rest }) => {
        const archive = file?.archive && { ...file.archive, key: elsewhere(file.archive.key) };
        return { ...rest, file: file && { ...file, archive } };
      }),
      /names "default_20260101000000/,
    ],
    [
      'of another source',
      reports(({ file, ...rest }) => ({ ...rest, file: file && { ...file, source: 'NameNode' } })),
      /not of OMS/,
    ],
    ['with nothing', reports((done) => ({ ...done, file: undefined })), /not of OMS/],
    [
      'without the active vault',
      reports(({ file, vaults }) => ({ file, vaults: vaults.filter(({ node: name }) => name !== 'mn1') })),
      /not in the vault of the active management node mn1/,
    ],
    [
      'as a restore',
      () => ({ $case: 'restore', value: { checks: [], restoredBytes: 1n } }),
      /ended the backup of OMS with restore/,
    ],
  ])('%s: is not believed, and makes no set', async (_what, onAssign, why) => {
    const mn1 = await vault('mn1');
    await vault('mn2');
    await node({ onAssign });
    await task('nightly');
    const end = await backUp('nightly');
    expect([end.state, end.fault?.message]).toEqual([RunState.RUN_STATE_FAILED, expect.stringMatching(why)]);
    expect(await sets()).toEqual([]);
    await until(() => expect(cleared(mn1)).toHaveLength(1));
  });

  test('with a fault of any length is recorded with what fits into an answer', async () => {
    await vault('mn1');
    await node({ onAssign: () => failure('x'.repeat(100_000)) });
    await task('nightly');
    const { fault } = await backUp('nightly');
    expect(fault?.message.length).toBeLessThan(3000);
    expect(fault?.message).toMatch(/the log of the agent has all of it/);
  });

  test('names no other nodes as holders than the management nodes', async () => {
    await vault('mn1');
    await vault('mn2');
    await node({
      onAssign: reports(({ file, vaults }) => ({ file, vaults: [...vaults, { node: 'dn1', failed: undefined }] })),
    });
    await task('nightly');
    await backUp('nightly');
    expect((await sets())[0]?.nodes).toEqual(['mn1', 'mn2']);
  });

  test('as failed, leaves its directory to be cleared in both vaults under the next attempt', async () => {
    const [mn1, mn2] = [await vault('mn1'), await vault('mn2')];
    await node({ onAssign: () => failure('no') });
    await task('nightly');
    const { id } = await backUp('nightly');
    for (const mn of [mn1, mn2]) {
      await until(() => expect(cleared(mn)).toEqual([expect.stringMatching(/^nightly_\d{14}\/OMS_\d{14}\/$/)]));
      expect(mn.assigns.map(({ runId, attempt }) => [runId, attempt])).toEqual([[id, 2]]);
    }
  });

  test('twice is acknowledged twice and recorded once', async () => {
    const mn1 = await vault('mn1');
    const dn1 = await node({ onAssign: () => ({ $case: 'failed', value: { code: 'UNAVAILABLE', message: 'net', hint: '' } }) });
    await task('nightly');
    const { id } = await backUp('nightly');
    const [assign] = dn1.assigns as [Assign];
    const before = await logOf(id);
    dn1.finish(assign, failure('again'));
    await until(() => expect(dn1.acks).toHaveLength(2));
    expect(await logOf(id)).toEqual(before);
    await until(() => expect(cleared(mn1)).toHaveLength(1));
  });
});

describe('an attempt that was given up', () => {
  async function lose(): Promise<{ assign: Assign; runId: string }> {
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const runId = await runTask(cluster.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await untilEnded(cluster.admin(), runId);
    return { assign: dn1.assigns[0] as Assign, runId };
  }

  test('holds up the next run until it has ended, and is cleared again, never adopted', async () => {
    const mn1 = await vault('mn1');
    await vault('mn2');
    const { assign, runId } = await lose();
    const back = await node({ running: [assign.assignmentId], onAssign: success });
    expect(back.welcome.cancel).toEqual([assign.assignmentId]);
    const next = await runTask(cluster.admin(), 'nightly');
    await until(async () =>
      expect(await logOf(next)).toContain('does not start yet: the agent of dn1 has not ended its work of an earlier run yet'),
    );
    expect(back.assigns).toEqual([]);
    back.finish(assign, success(assign));
    expect((await untilEnded(cluster.admin(), next)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    const { run } = await cluster.admin().getRun({ id: runId });
    expect(run?.state).toBe(RunState.RUN_STATE_FAILED);
    expect((await sets()).map((set) => set.runId)).toEqual([next]);
    await until(() => expect(cleared(mn1)).toHaveLength(2));
  });

  test('that ended while the Hello was made, and is in both of its lists, does not hold up the next run', async () => {
    await vault('mn1');
    await vault('mn2');
    const { assign } = await lose();
    const finished: Finished = { ...assign, endedMs: 1n, outcome: success(assign) };
    await node({ running: [assign.assignmentId], finished: [finished], onAssign: success });
    const next = await runTask(cluster.admin(), 'nightly');
    expect((await untilEnded(cluster.admin(), next)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  });

  test('that is told of with the Hello, after its run was forgotten by everyone, is acknowledged and changes nothing', async () => {
    await vault('mn1');
    const { assign } = await lose();
    const finished: Finished = { ...assign, endedMs: 1n, outcome: success(assign) };
    const stranger: Finished = { ...finished, assignmentId: 'a-unknown', runId: 'r-unknown' };
    const back = await node({ finished: [finished, stranger] });
    expect(back.welcome.acknowledged).toEqual([assign.assignmentId, 'a-unknown']);
    expect(await sets()).toEqual([]);
  });
});

describe('a stop', () => {
  test('that an agent does not follow ends the run all the same, as failed, and clears what it may have left', async () => {
    await using own = await startCluster({ stopTimeout: '300ms' });
    const mn1 = await own.agent('mn1', { vault: vaultFacts('mn1') });
    const dn1 = await own.agent('dn1', { sources: ['OMS'], onAssign: waits });
    await own.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
    const id = await runTask(own.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await own.admin().stopRun({ requestId: '', id });
    const end = await untilEnded(own.admin(), id);
    expect([end.state, end.fault?.message]).toEqual([
      RunState.RUN_STATE_FAILED,
      expect.stringMatching(/stopped by operator; the agent of dn1 did not end it within 0.3 s/),
    ]);
    expect(dn1.cancels).toHaveLength(1);
    await until(() => expect(cleared(mn1)).toHaveLength(1));
  });

  test('of a run whose agent is away reaches it with its Hello', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await until(async () => expect((await cluster.admin().getAgent({ node: 'dn1' })).agent?.connected).toBe(false));
    await cluster.admin().stopRun({ requestId: '', id });
    const [assign] = dn1.assigns as [Assign];
    const back = await node({ running: [assign.assignmentId] });
    await until(() => expect(back.cancels.map(({ reason }) => reason)).toEqual(['stopped by operator']));
    back.finish(assign, { $case: 'stopped', value: { code: 'STOPPED', message: 'stopped by operator', hint: '' } });
    expect((await untilEnded(cluster.admin(), id)).state).toBe(RunState.RUN_STATE_STOPPED);
  });

  test('of a run that its agent never got, or does not know any more, ends it at the next Hello', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await until(async () => expect((await cluster.admin().getAgent({ node: 'dn1' })).agent?.connected).toBe(false));
    await cluster.admin().stopRun({ requestId: '', id });
    const back = await node();
    expect((await untilEnded(cluster.admin(), id)).state).toBe(RunState.RUN_STATE_STOPPED);
    expect(back.assigns).toEqual([]);
  });

  test('of a run that waits ends it before it begins; one that has ended is refused', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('first');
    await task('second');
    await runTask(cluster.admin(), 'first');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    const second = await runTask(cluster.admin(), 'second');
    await cluster.admin().lockTask({ requestId: '', name: 'second' });
    expect((await untilEnded(cluster.admin(), second)).state).toBe(RunState.RUN_STATE_STOPPED);
    expect((await refusalOf(cluster.admin().stopRun({ requestId: '', id: second }))).code).toBe(status.FAILED_PRECONDITION);
    expect(dn1.assigns).toHaveLength(1);
  });
});

describe('the upkeep', () => {
  test('does not spin while a set cannot be copied, because the vault that holds it is away', async () => {
    let looks = 0;
    await using own = await startCluster({}, (store) => ({
      ...store,
      setsLacking: (nodes) => {
        looks += 1;
        return store.setsLacking(nodes);
      },
    }));
    const mn1 = await own.agent('mn1', { vault: vaultFacts('mn1') });
    await own.agent('dn1', { sources: ['OMS'] });
    await own.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
    await untilEnded(own.admin(), await runTask(own.admin(), 'nightly'));
    mn1.leave();
    await until(async () => expect((await own.admin().getAgent({ node: 'mn1' })).agent?.connected).toBe(false));
    await own.agent('mn2', { vault: vaultFacts('mn2') });
    const from = systemClock.monotonic();
    looks = 0;
    await until(() => expect(systemClock.monotonic() - from).toBeGreaterThan(1000));
    expect(looks).toBeLessThan(100);
  });

  test('copies what the standby lacks, a few sets at a time', async () => {
    await vault('mn1');
    await node();
    await task('nightly', { copies: 100 });
    for (let n = 0; n < 6; n++) await backUp('nightly');
    let open: Assign[] = [];
    const mn2 = await vault('mn2', {
      onAssign(assign) {
        open.push(assign);
        return undefined;
      },
    });
    await until(() => expect(open).toHaveLength(4));
    const first = open;
    open = [];
    for (const assign of first) mn2.finish(assign, success(assign));
    await until(() => expect(open).toHaveLength(2));
    for (const assign of open) mn2.finish(assign, success(assign));
    await until(async () => expect((await alarmsUp()).map(({ id }) => id)).not.toContain(12011));
    expect(new Set(told(mn2, 'mirror').map(({ assignmentId }) => assignmentId)).size).toBe(6);
  });

  test('deletes no set while it is copied, and clears the standby of a copy that was cut off', async () => {
    const mn1 = await vault('mn1');
    await node();
    await task('nightly');
    const { setId: id } = await backUp('nightly');
    const mn2 = await vault('mn2', { onAssign: (assign) => (assign.work?.$case === 'mirror' ? undefined : success(assign)) });
    await until(() => expect(told(mn2, 'mirror')).toHaveLength(1));
    const refusal = await refusalOf(cluster.admin().deleteSet({ requestId: '', id }));
    expect([refusal.code, refusal.details]).toEqual([status.FAILED_PRECONDITION, expect.stringMatching(/is being read/)]);
    mn2.finish(told(mn2, 'mirror')[0] as Assign, failure('cut off'));
    await until(() => cluster.admin().deleteSet({ requestId: '', id }));
    await until(async () => expect(await sets()).toEqual([]));
    // Its manifest first, then its bytes.
    expect(deletions(mn1).map(({ files, manifestsOnly }) => [files.length, manifestsOnly])).toEqual([
      [1, true],
      [1, false],
    ]);
    await until(() => expect(cleared(mn2)).toEqual([expect.stringMatching(/^nightly_\d{14}\/OMS_\d{14}\/$/)]));
  });
});

describe('after its start the controller', () => {
  test('waits for the vaults before it gives out a share that its agent has lost', async () => {
    await vault('mn1');
    await vault('mn2');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster.stop();
    await cluster.start();
    const back = await node();
    await vault('mn1');
    await vault('mn2');
    expect((await untilEnded(cluster.admin(), id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect(back.assigns).toHaveLength(1);
    expect((await sets())[0]?.nodes).toEqual(['mn1', 'mn2']);
  });
});

describe('the topology of a set', () => {
  test('is that of the start of its run', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly', { sources: [OMS, LDAP] });
    const id = await runTask(cluster.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(2));
    await cluster.agent('dn2', { sources: ['NameNode'] });
    for (const assign of dn1.assigns) dn1.finish(assign, success(assign));
    const { setId } = await untilEnded(cluster.admin(), id);
    const { plan } = await cluster.admin().planRestore({ setId, sources: [], options: undefined });
    expect(plan?.refusals).toEqual(['the topology differs: now there is "dn2: NameNode"']);
  });
});

describe('alarms', () => {
  test('12034 goes with its task', async () => {
    await vault('mn1');
    await node({ onAssign: () => failure('disk is gone') });
    await task('hourly', { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } });
    cluster.clock.advance(3_600_500);
    await until(async () => expect((await alarmsUp()).map(({ id }) => id)).toContain(12034));
    await cluster.admin().deleteTask({ requestId: '', name: 'hourly' });
    expect((await alarmsUp()).map(({ id }) => id)).not.toContain(12034);
  });

  test('12034 is not raised by a run that was asked for by hand, nor by one that was stopped', async () => {
    await vault('mn1');
    await node({ onAssign: () => failure('disk is gone') });
    await task('hourly', { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } });
    await backUp('hourly');
    expect((await alarmsUp()).map(({ id }) => id)).not.toContain(12034);
  });

  test('12057 is up as long as nothing goes to a third place', async () => {
    await until(async () =>
      expect((await alarmsUp()).map(({ id, severity }) => [id, severity])).toContainEqual([12057, 'major']),
    );
  });

  test('12058 tells of a file of default above its specification, which is kept, until one is below', async () => {
    await using own = await startCluster({ defaultTask: { enabled: true, sources: ['OMS'] } });
    let size = 10_000_001n;
    await own.agent('mn1', { vault: vaultFacts('mn1') });
    await own.agent('mn2', { vault: vaultFacts('mn2') });
    const onAssign = (assign: Assign): Finished['outcome'] => {
      if (assign.work?.$case !== 'backup') return success(assign);
      const file = fileOf(assign.work.value);
      const archive = file.archive && { ...file.archive, sizeBytes: size };
      const vaults = assign.work.value.vaults.map((each) => ({ node: each.node, failed: undefined }));
      return { $case: 'backup', value: { file: { ...file, archive }, vaults } };
    };
    await own.agent('dn1', { sources: ['OMS'], onAssign });
    const up = async () => (await own.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' })).alarms;
    await untilEnded(own.admin(), await runTask(own.admin(), 'default'));
    expect(await up()).toContainEqual(expect.objectContaining({ id: 12058, subject: 'OMS', severity: 'minor' }));
    expect((await own.admin().listSets(all)).sets).toHaveLength(1);
    size = 10_000_000n;
    await untilEnded(own.admin(), await runTask(own.admin(), 'default'));
    expect((await up()).map(({ id }) => id)).not.toContain(12058);
  });

  test('12035 is not cleared by a restore into another place', async () => {
    await vault('mn1');
    await vault('mn2');
    const fault = { code: 'UNKNOWN_STATE', message: 'and then roll back', hint: 'look' };
    let fails = true;
    const onAssign = (assign: Assign): Finished['outcome'] =>
      assign.work?.$case === 'restore' && fails ? { $case: 'unknownState', value: fault } : success(assign);
    await node({ onAssign });
    await task('nightly', { sources: [LDAP] });
    const { setId } = await backUp('nightly');
    const restore = async (name: string, directory: string) => {
      const options = { renameDatabases: [], directory, otherVersion: false, otherTopology: false };
      await cluster.admin().createRestore({ requestId: '', name, setId, sources: [], options });
      const { run } = await cluster.admin().startRestore({ requestId: '', name });
      await untilEnded(cluster.admin(), run?.id ?? '');
      return (await alarmsUp()).map(({ id }) => id);
    };
    expect(await restore('worst', '')).toContain(12035);
    fails = false;
    expect(await restore('elsewhere', '/tmp/look')).toContain(12035);
    expect(await restore('in_place', '')).not.toContain(12035);
  });
});

describe('limits', () => {
  test('100 tasks exist at most, and runs that are long past stay listed', async () => {
    for (let n = 0; n < 100; n++) await task(`task_${n}`);
    const refusal = await refusalOf(task('one_more'));
    expect([refusal.code, refusal.details]).toEqual([
      status.RESOURCE_EXHAUSTED,
      expect.stringMatching(/100 tasks exist already/),
    ]);
    expect(await runs()).toEqual([]);
  });

  test('100 restores exist at most: the oldest that succeeded makes room', async () => {
    await vault('mn1');
    await vault('mn2');
    await node();
    await task('nightly');
    const { setId } = await backUp('nightly');
    const create = (n: number) =>
      cluster.admin().createRestore({ requestId: '', name: `restore_${n}`, setId, sources: [], options: undefined });
    for (let n = 0; n < 100; n++) {
      await create(n);
      cluster.clock.advance(1);
    }
    const { run } = await cluster.admin().startRestore({ requestId: '', name: 'restore_7' });
    await untilEnded(cluster.admin(), run?.id ?? '');
    await create(100);
    const { restores } = await cluster.admin().listRestores({ pageSize: 1000, pageToken: '' });
    const there = restores.map(({ name }) => name);
    expect(there).toHaveLength(100);
    expect([there.includes('restore_7'), there.includes('restore_0'), there.includes('restore_100')]).toEqual([
      false,
      true,
      true,
    ]);
    expect((await runs()).map(({ id }) => id)).toContain(run?.id);
  });
});

test('a source is given to one agent at a time, and the words of another are not heard', async () => {
  await vault('mn1');
  const dn1 = await node({ onAssign: waits });
  const dn2 = await cluster.agent('dn2', { sources: ['OMS'], onAssign: waits });
  await task('nightly');
  const id = await runTask(cluster.admin(), 'nightly');
  await until(() => expect(dn1.assigns.map(sourceOf)).toEqual(['OMS']));
  const [assign] = dn1.assigns as [Assign];
  dn2.say({
    $case: 'log',
    value: { assignmentId: assign.assignmentId, attempt: 1, timeMs: 1n, level: 'info', message: 'false' },
  });
  dn1.say({
    $case: 'log',
    value: { assignmentId: assign.assignmentId, attempt: 1, timeMs: 1n, level: 'info', message: `true${'x'.repeat(9000)}` },
  });
  await until(async () => expect((await logOf(id)).some((line) => line.startsWith('true'))).toBe(true));
  const log = await logOf(id);
  expect(log).not.toContain('false');
  expect(Math.max(...log.map(({ length }) => length))).toBe(2000);
  expect(dn2.assigns).toEqual([]);
});
