/** Links that go down, and machines that vanish behind them without a farewell. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { VAULTS, incomingOf, visibleIn } from '../process/order.ts';
import { DAEMONS, untilTrue } from '../process/process-cluster.ts';
import type { Daemon } from '../process/process-cluster.ts';
import { LEASE_MS, SLACK_MS, useNetCluster } from './net-cluster.ts';

const net = useNetCluster();
const AGENTS = DAEMONS.filter((daemon) => daemon !== 'controller');
const LOST = 'the agent of dn1 was not heard of for 10 s, and was given up';

test('the link of the source is down for a moment in mid-backup: the run goes on and succeeds', async () => {
  await using slow = await net().network.slow('dn1', '20mbit');
  const id = await net().transferring();
  {
    await using _down = await net().network.linkDown('dn1');
    await net().untilSilent('dn1');
    expect((await net().run(id)).state).toBe(RunState.RUN_STATE_RUNNING);
  }
  expect((await net().untilEnded(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  await slow.heal();
  await net().requireSound();
}, 120_000);

test('the link of the source stays down: the run is failed after the lease; up again, the agent is back and nothing of it is left', async () => {
  await using slow = await net().network.slow('dn1', '20mbit');
  const id = await net().transferring();
  {
    await using _down = await net().network.linkDown('dn1');
    const since = systemClock.now();
    const { state, fault, endedMs } = await net().untilEnded(id);
    expect({ state, fault: fault?.message }).toEqual({ state: RunState.RUN_STATE_FAILED, fault: expect.stringContaining(LOST) });
    expect(Number(endedMs) - since).toBeLessThan(LEASE_MS + SLACK_MS);
  }
  await slow.heal();
  await net().requireSound();
}, 150_000);

test('the agent of the source is killed while its link is down: both vaults notice it by themselves and keep nothing', async () => {
  await using slow = await net().network.slow('dn1', '20mbit');
  const id = await net().transferring();
  const before = (await net().admin().listSets({ pageSize: 10, pageToken: '', task: '' })).sets.map(({ runId }) => runId);
  {
    await using _down = await net().network.unplugged('dn1');
    await net().end('dn1', 'SIGKILL');
    const { state, fault } = await net().untilEnded(id);
    expect({ state, fault: fault?.message }).toEqual({ state: RunState.RUN_STATE_FAILED, fault: expect.stringContaining(LOST) });
    await untilTrue(async () => expect((await net().agent('dn1')).connected).toBe(false));
    for (const node of VAULTS) {
      await untilTrue(async () => expect(await incomingOf(net(), node), `the line to ${node} is half open`).toEqual([]));
    }
    // The set from before is as good as it was.
    const { sets } = await net().admin().listSets({ pageSize: 10, pageToken: '', task: '' });
    expect(sets.map(({ runId }) => runId)).toEqual(before);
    for (const node of VAULTS) expect(await visibleIn(net(), node)).toHaveLength(3 * before.length);
  }
  await slow.heal();
  net().start('dn1');
  await net().requireSound();
}, 180_000);

test('the controller is killed while its link is down: agents notice it, go on, and tell the end to the one that is started', async () => {
  const finished = async () =>
    (await readdir(join(net().stateOf('dn1'), 'journal'))).filter((name) => name.endsWith('.finished'));
  let id = '';
  const before = new Map<Daemon, number>();
  for (const node of AGENTS) before.set(node, (await net().logOf(node)).length);
  {
    await using _down = await (async () => {
      await using _held = await net().holdDump();
      id = await net().backUp();
      await untilTrue(async () => expect((await net().run(id)).state).toBe(RunState.RUN_STATE_RUNNING));
      await untilTrue(async () => expect(await readdir(join(net().stateOf('dn1'), 'journal'))).toHaveLength(1));
      const down = await net().network.unplugged('controller');
      await net().end('controller', 'SIGKILL');
      return down;
    })();
    await untilTrue(async () => expect(await finished()).toHaveLength(1));
    for (const node of AGENTS) {
      await untilTrue(async () =>
        expect((await net().logOf(node)).slice(before.get(node)), node).toContain('no line to the controller'),
      );
    }
  }
  net().start('controller');
  expect((await net().untilEnded(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  await net().requireSound();
}, 180_000);
