import { describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { cleared, clusterOfEach, waits } from './cluster-of-each.ts';
import { refusalOf, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';

const { cluster, vault, node, task } = clusterOfEach();

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
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await until(async () => expect((await cluster().admin().getAgent({ node: 'dn1' })).agent?.connected).toBe(false));
    await cluster().admin().stopRun({ requestId: '', id });
    const [assign] = dn1.assigns as [Assign];
    const back = await node({ running: [assign.assignmentId] });
    await until(() => expect(back.cancels.map(({ reason }) => reason)).toEqual(['stopped by operator']));
    back.finish(assign, { $case: 'stopped', value: { code: 'STOPPED', message: 'stopped by operator', hint: '' } });
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_STOPPED);
  });

  test('of a run that its agent never got, or does not know any more, ends it at the next Hello', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    dn1.leave();
    await until(async () => expect((await cluster().admin().getAgent({ node: 'dn1' })).agent?.connected).toBe(false));
    await cluster().admin().stopRun({ requestId: '', id });
    const back = await node();
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_STOPPED);
    expect(back.assigns).toEqual([]);
  });

  test('of a run that waits ends it before it begins; one that has ended is refused', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('first');
    await task('second');
    await runTask(cluster().admin(), 'first');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    const second = await runTask(cluster().admin(), 'second');
    await cluster().admin().lockTask({ requestId: '', name: 'second' });
    expect((await untilEnded(cluster().admin(), second)).state).toBe(RunState.RUN_STATE_STOPPED);
    expect((await refusalOf(cluster().admin().stopRun({ requestId: '', id: second }))).code).toBe(status.FAILED_PRECONDITION);
    expect(dn1.assigns).toHaveLength(1);
  });
});
