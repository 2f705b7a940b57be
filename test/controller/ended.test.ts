import { describe, expect, test } from 'vitest';
import type { Assign, BackupDone, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { cleared, clusterOfEach, waits } from './cluster-of-each.ts';
import { LDAP, OMS, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import { failure, success, vaultFacts } from './fake-agent.ts';
import type { AgentOptions } from './fake-agent.ts';

const { cluster, vault, node, task, backUp, sets, logOf } = clusterOfEach();

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
    const runId = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await untilEnded(cluster().admin(), runId);
    return { assign: dn1.assigns[0] as Assign, runId };
  }

  test('holds up the next run until it has ended, and is cleared again, never adopted', async () => {
    const mn1 = await vault('mn1');
    await vault('mn2');
    const { assign, runId } = await lose();
    const back = await node({ running: [assign.assignmentId], onAssign: success });
    expect(back.welcome.cancel).toEqual([assign.assignmentId]);
    const next = await runTask(cluster().admin(), 'nightly');
    await until(async () =>
      expect(await logOf(next)).toContain('does not start yet: the agent of dn1 has not ended its work of an earlier run yet'),
    );
    expect(back.assigns).toEqual([]);
    back.finish(assign, success(assign));
    expect((await untilEnded(cluster().admin(), next)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    const { run } = await cluster().admin().getRun({ id: runId });
    expect(run?.state).toBe(RunState.RUN_STATE_FAILED);
    expect((await sets()).map((set) => set.runId)).toEqual([next]);
    await until(() => expect(cleared(mn1)).toHaveLength(2));
  });

  test('that has not ended holds up the next run on its node, and one which takes nothing of it passes it', async () => {
    await vault('mn1');
    await vault('mn2');
    const { assign } = await lose();
    const back = await node({ running: [assign.assignmentId], sources: ['OMS'] });
    await cluster().agent('dn2', { sources: ['LdapServer'] });
    await task('both', { sources: [LDAP, OMS] });
    await task('ldap', { sources: [LDAP] });
    const held = await runTask(cluster().admin(), 'nightly');
    const passes = await runTask(cluster().admin(), 'ldap');
    expect((await untilEnded(cluster().admin(), passes)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    // One that shares its source keeps its place behind it.
    const behind = await runTask(cluster().admin(), 'both');
    const reason = 'does not start yet: the agent of dn1 has not ended its work of an earlier run yet';
    expect((await logOf(held)).filter((line) => line === reason)).toHaveLength(1);
    back.finish(assign, success(assign));
    const ends = [await untilEnded(cluster().admin(), held), await untilEnded(cluster().admin(), behind)];
    expect(ends.map(({ state }) => state)).toEqual([RunState.RUN_STATE_SUCCESSFUL, RunState.RUN_STATE_SUCCESSFUL]);
    expect(ends[1]?.startedMs).toBeGreaterThanOrEqual(ends[0]?.endedMs ?? 0n);
  });

  test('just as its agent came back holds up the next run all the same', async () => {
    const givenUp = Promise.withResolvers<void>();
    let [armed, hold] = [false, false];
    await using own = await startCluster({}, (store) => ({
      ...store,
      async transaction(work) {
        let ofAgent = false;
        const result = await store.transaction((view) =>
          work({ ...view, putAgent: (agent) => ((ofAgent = agent.node === 'dn1'), view.putAgent(agent)) }),
        );
        hold ||= armed && ofAgent;
        return result;
      },
      // What the Hello of dn1 is compared with is from before its share was given up.
      async openRuns() {
        const open = await store.openRuns();
        if (!hold) return open;
        [armed, hold] = [false, false];
        await givenUp.promise;
        return open;
      },
    }));
    const vaults = () => Promise.all(['mn1', 'mn2'].map((name) => own.agent(name, { vault: vaultFacts(name) })));
    await vaults();
    const dn1 = await own.agent('dn1', { sources: ['OMS'], onAssign: waits });
    await own.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
    const id = await runTask(own.admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await own.stop();
    await own.start();
    await vaults();
    armed = true;
    const running = dn1.assigns.map(({ assignmentId }) => assignmentId);
    const coming = own.agent('dn1', { sources: ['OMS'], running });
    expect((await untilEnded(own.admin(), id)).state).toBe(RunState.RUN_STATE_FAILED);
    givenUp.resolve();
    const back = await coming;
    const next = await runTask(own.admin(), 'nightly');
    const log = async () => (await own.admin().listRunLog({ id: next, pageSize: 0, pageToken: '' })).lines;
    await until(async () => expect((await log()).at(-1)?.message).toContain('has not ended its work of an earlier run yet'));
    expect(back.assigns).toEqual([]);
    for (const assign of dn1.assigns) back.finish(assign, success(assign));
    expect((await untilEnded(own.admin(), next)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  });

  test('that ended while the Hello was made, and is in both of its lists, does not hold up the next run', async () => {
    await vault('mn1');
    await vault('mn2');
    const { assign } = await lose();
    const finished: Finished = { ...assign, endedMs: 1n, outcome: success(assign) };
    await node({ running: [assign.assignmentId], finished: [finished], onAssign: success });
    const next = await runTask(cluster().admin(), 'nightly');
    expect((await untilEnded(cluster().admin(), next)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
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
