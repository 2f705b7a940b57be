/** Whom a controller may miss: not those whom it could not have heard. */
import { describe, expect, test } from 'vitest';
import type { Clock } from '#common/clock.ts';
import { systemClock } from '#common/clock.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { createListening } from '../../controller/engine/listening.ts';
import { runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';

const LEASE_MS = 8000;

/** Time stands still but for what the test lets pass. */
function handClock() {
  let now = 1000;
  const woken: (() => void)[] = [];
  const clock: Clock = {
    now: () => now,
    machine: 'here',
    monotonic: () => now,
    sleep: () => new Promise((resolve) => woken.push(resolve)),
  };
  return {
    clock,
    pass: (ms: number) => void (now += ms),
    wake: async () => {
      woken.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
    },
  };
}

describe('a controller listens', () => {
  test('since its start, however long it is asked for the first time after many sleeps', async () => {
    const { clock, pass, wake } = handClock();
    const listening = createListening(clock, LEASE_MS);
    const stopping = new AbortController();
    const kept = listening.keep(stopping.signal);
    for (let n = 0; n < 100; n++) {
      pass(LEASE_MS / 8);
      await wake();
    }
    expect(listening.since).toBe(1000);
    stopping.abort();
    await wake();
    await kept;
  });

  test('since the end of a sleep that took half the lease longer than was asked', async () => {
    const { clock, pass, wake } = handClock();
    const listening = createListening(clock, LEASE_MS);
    const stopping = new AbortController();
    const kept = listening.keep(stopping.signal);
    pass(LEASE_MS / 8 + LEASE_MS / 2 + 1);
    const end = clock.monotonic();
    await wake();
    pass(LEASE_MS / 8);
    await wake();
    expect(listening.since).toBe(end);
    stopping.abort();
    await wake();
    await kept;
  });

  test('since a pause also for whoever asks before that sleep has ended', () => {
    const { clock, pass } = handClock();
    const listening = createListening(clock, LEASE_MS);
    void listening.keep(new AbortController().signal);
    pass(LEASE_MS);
    expect(listening.since).toBe(clock.monotonic());
  });
});

test('an agent that is gone is lost although each pass of the engine takes longer than half the lease', async () => {
  await using cluster = await startCluster({}, (store) => ({
    ...store,
    async openRuns() {
      // A slow database: it is asked at least twice a pass.
      await systemClock.sleep(600, AbortSignal.timeout(60_000));
      return store.openRuns();
    },
  }));
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  const dn1 = await cluster.agent('dn1', { sources: ['OMS'], onAssign: () => undefined });
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
  const id = await runTask(cluster.admin(), 'nightly');
  await until(() => expect(dn1.assigns).toHaveLength(1));
  dn1.leave();
  const end = await untilEnded(cluster.admin(), id);
  expect([end.state, end.fault?.message]).toEqual([
    RunState.RUN_STATE_FAILED,
    expect.stringContaining('the agent of dn1 was not heard of for 2 s'),
  ]);
});
