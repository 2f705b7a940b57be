import { describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { clusterOfEach, waits } from './cluster-of-each.ts';
import { refusalOf, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import { failure, sourceOf, success, vaultFacts } from './fake-agent.ts';

const { cluster, vault, node, task, backUp, runs, logOf } = clusterOfEach();

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
      cluster()
        .admin()
        .createRestore({ requestId: '', name: `restore_${n}`, setId, sources: [], options: undefined });
    for (let n = 0; n < 100; n++) {
      await create(n);
      cluster().clock.advance(1);
    }
    const { run } = await cluster().admin().startRestore({ requestId: '', name: 'restore_7' });
    await untilEnded(cluster().admin(), run?.id ?? '');
    await create(100);
    const { restores } = await cluster().admin().listRestores({ pageSize: 1000, pageToken: '' });
    const there = restores.map(({ name }) => name);
    expect(there).toHaveLength(100);
    expect([there.includes('restore_7'), there.includes('restore_0'), there.includes('restore_100')]).toEqual([
      false,
      true,
      true,
    ]);
    expect((await runs()).map(({ id }) => id)).toContain(run?.id);
  });

  test('a restore that failed makes room before one that was never started', async () => {
    await using own = await startCluster({ limits: { tasksOfEachKind: 3 } });
    await own.agent('mn1', { vault: vaultFacts('mn1') });
    await own.agent('mn2', { vault: vaultFacts('mn2') });
    const onAssign = (assign: Assign) => (assign.work?.$case === 'restore' ? failure('no') : success(assign));
    await own.agent('dn1', { sources: ['OMS'], onAssign });
    await own.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
    const { setId } = await untilEnded(own.admin(), await runTask(own.admin(), 'nightly'));
    const create = async (name: string) => {
      await own.admin().createRestore({ requestId: '', name, setId, sources: [], options: undefined });
      own.clock.advance(1);
    };
    const there = async () => (await own.admin().listRestores({ pageSize: 0, pageToken: '' })).restores.map(({ name }) => name);
    for (const name of ['never', 'failed', 'later']) await create(name);
    const { run } = await own.admin().startRestore({ requestId: '', name: 'failed' });
    await untilEnded(own.admin(), run?.id ?? '');
    await create('fourth');
    expect(await there()).toEqual(['fourth', 'later', 'never']);
    await create('fifth');
    expect(await there()).toEqual(['fifth', 'fourth', 'later']);
  });
});

test('a source is given to one agent at a time, and the words of another are not heard', async () => {
  await vault('mn1');
  const dn1 = await node({ onAssign: waits });
  const dn2 = await cluster().agent('dn2', { sources: ['OMS'], onAssign: waits });
  await task('nightly');
  const id = await runTask(cluster().admin(), 'nightly');
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
