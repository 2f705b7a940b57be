import { expect, test } from 'vitest';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { startCluster, taskSpec, until } from './cluster.ts';
import { success, vaultFacts } from './fake-agent.ts';

test('a task starts when it is due, and not at the tick that follows', async () => {
  await using cluster = await startCluster({ tick: '1h', lease: '1h' });
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
