import { expect, test } from 'vitest';
import { diskTime } from '#common/clock.ts';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import { success, vaultFacts } from './fake-agent.ts';

test('a task starts when it is due, and not at the tick that follows', async () => {
  await using cluster = await startCluster({ tick: '1h', lease: '5h' });
  let atMs = 0;
  const onAssign = (assign: Assign) => {
    if (assign.work?.$case === 'backup') atMs = cluster.clock.now();
    return success(assign);
  };
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  await cluster.agent('dn1', { sources: ['OMS'], onAssign });
  const startMs = cluster.clock.now() + 700;
  const mode = { $case: 'periodic', value: { startMs: BigInt(startMs), periodSeconds: 86_400n } } as const;
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly', { mode }) });
  await until(() => expect(atMs).toBeGreaterThan(0));
  expect(atMs).toBeGreaterThanOrEqual(startMs);
});

test('no two runs of a task bear the same second, also when the clock was set back', async () => {
  await using cluster = await startCluster();
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  await cluster.agent('dn1', { sources: ['OMS'] });
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
  const startOf = async () => {
    const { startedMs } = await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'nightly'));
    return Number(startedMs);
  };
  const first = await startOf();
  cluster.clock.advance(3_600_000);
  const starts = [first, await startOf()];
  cluster.clock.advance(first - cluster.clock.now());
  starts.push(await startOf(), await startOf());
  expect(new Set(starts.map(diskTime)).size).toBe(starts.length);
});
