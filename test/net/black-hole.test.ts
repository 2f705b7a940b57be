/** Packets that vanish: no refusal, no reset, nothing but silence. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { VAULTS, incomingOf, requireOrder, visibleIn } from '../process/order.ts';
import { untilTrue } from '../process/process-cluster.ts';
import { SLACK_MS, useNetCluster } from './net-cluster.ts';

const net = useNetCluster();
const OUT_OF_STEP = 12011;
/** A ping each 10 s, and 30 s for its answer. */
const IDLE_MS = 40_000;
const LOST = 'the agent of dn1 was not heard of for 10 s, and was given up';

/** What the agent has written down of its ended assignments, and the controller has not acknowledged. */
async function unacknowledged(): Promise<string[]> {
  const journal = join(net().stateOf('dn1'), 'journal');
  const names = (await readdir(journal)).filter((name) => name.endsWith('.finished'));
  return Promise.all(names.map((name) => readFile(join(journal, name), 'utf8')));
}

/** One for each attempt of a run that was given up. */
const fencesOf = (node: string) => readdir(join(net().vaultOf(node), '.holdfast', 'attempts'));

/** Neither visible nor on its way. `sets`: how many backups the vault holds beside. */
async function untilNothingElseIn(node: string, sets: number): Promise<void> {
  await untilTrue(async () => {
    expect(await incomingOf(net(), node)).toEqual([]);
    expect(await visibleIn(net(), node)).toHaveLength(3 * sets);
  });
}

test('the active vault vanishes in mid-backup: the run fails within the idle time-out, and neither vault keeps a part of it', async () => {
  await using slow = await net().network.slow('dn1', '20mbit');
  const id = await net().transferring();
  {
    await using _hole = await net().network.blackHole('dn1', 'mn1');
    const since = systemClock.now();
    const { state, fault, endedMs } = await net().untilEnded(id);
    expect(state).toBe(RunState.RUN_STATE_FAILED);
    expect(Number(endedMs) - since).toBeLessThan(IDLE_MS + SLACK_MS);
    expect(fault?.message).toContain('the vault of node mn1 has not answered for 30 s: the line counts as cut');
    for (const node of VAULTS) await untilNothingElseIn(node, 0);
    await slow.heal();

    const next = await net().untilEnded(await net().backUp());
    expect(next.state).toBe(RunState.RUN_STATE_FAILED);
    expect(next.fault?.message).toContain('no answer within 10 s');
    // It is the line to the vault that is cut: the agent is there.
    expect((await net().agent('dn1')).connected).toBe(true);
  }
  await net().requireSound();
}, 180_000);

test('the standby vault vanishes in mid-backup: the run succeeds, the set is degraded and 12011 is up; healed, it is repaired', async () => {
  await using slow = await net().network.slow('dn1', '20mbit');
  const id = await net().transferring();
  {
    await using _hole = await net().network.blackHole('mn2', 'dn1', 'mn1');
    expect((await net().untilEnded(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    const { sets } = await net().admin().listSets({ pageSize: 10, pageToken: '', task: '' });
    expect(sets.find(({ runId }) => runId === id)?.state).toBe(SetState.SET_STATE_DEGRADED);
    await untilTrue(async () => expect(await net().alarms(OUT_OF_STEP)).toMatchObject([{ subject: 'mn2' }]));
    await untilTrue(async () => expect(await incomingOf(net(), 'mn2')).toEqual([]));
    expect((await visibleIn(net(), 'mn2')).filter((key) => key.includes(id))).toEqual([]);
  }
  await slow.heal();
  await requireOrder(net());
  await untilTrue(async () => expect(await net().alarms(OUT_OF_STEP)).toEqual([]));
  await net().requireSound();
}, 180_000);

test('the controller vanishes in mid-backup: the agent ends it alone, and is believed when it reports within the lease', async () => {
  let id = '';
  {
    await using _hole = await (async () => {
      await using _held = await net().holdDump();
      id = await net().backUp();
      await untilTrue(async () => expect(await net().logOfRun(id)).toContain('given to the agent of dn1'));
      return net().network.blackHole('dn1', 'controller');
    })();
    await untilTrue(async () => expect(await unacknowledged()).toHaveLength(1));
    expect((await net().run(id)).state).toBe(RunState.RUN_STATE_RUNNING);
  }
  expect((await net().untilEnded(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  await net().requireSound();
}, 120_000);

test('the controller vanishes for longer than the lease, and the agent ends before it is given up: its backup is cleared, not adopted', async () => {
  let id = '';
  const before = (await net().admin().listSets({ pageSize: 10, pageToken: '', task: '' })).sets;
  {
    await using _hole = await (async () => {
      await using _held = await net().holdDump();
      id = await net().backUp();
      await untilTrue(async () => expect(await net().logOfRun(id)).toContain('given to the agent of dn1'));
      return net().network.blackHole('dn1', 'controller');
    })();
    await untilTrue(async () => expect(await unacknowledged()).toHaveLength(1));
    const { state, fault } = await net().untilEnded(id);
    expect({ state, fault: fault?.message }).toEqual({ state: RunState.RUN_STATE_FAILED, fault: expect.stringContaining(LOST) });
    for (const node of VAULTS) await untilNothingElseIn(node, before.length);
  }
  await untilTrue(async () =>
    expect(await net().logOfRun(id)).toContain('after it was given up, the agent of dn1 said: successful'),
  );
  await net().requireSound();
}, 150_000);

test('the controller vanishes for longer than the lease, and the agent goes on after it was given up: both vaults fence it', async () => {
  let id = '';
  const before = (await net().admin().listSets({ pageSize: 10, pageToken: '', task: '' })).sets;
  const fences = new Map<string, string[]>();
  for (const node of VAULTS) fences.set(node, await fencesOf(node));
  {
    await using _hole = await (async () => {
      await using _held = await net().holdDump();
      id = await net().backUp();
      await untilTrue(async () => expect(await net().logOfRun(id)).toContain('given to the agent of dn1'));
      const hole = await net().network.blackHole('dn1', 'controller');
      const { state, fault } = await net().untilEnded(id);
      expect({ state, fault: fault?.message }).toEqual({
        state: RunState.RUN_STATE_FAILED,
        fault: expect.stringContaining(LOST),
      });
      for (const node of VAULTS) {
        await untilTrue(async () => expect(await fencesOf(node)).not.toEqual(fences.get(node)));
      }
      return hole;
    })();
    const [ended] = await untilTrue(async () => {
      const all = await unacknowledged();
      expect(all).toHaveLength(1);
      return all;
    });
    expect(ended).toContain('FENCED');
    for (const node of VAULTS) await untilNothingElseIn(node, before.length);
  }
  await untilTrue(async () =>
    expect(await net().logOfRun(id)).toContainEqual(
      expect.stringContaining('after it was given up, the agent of dn1 said: failed'),
    ),
  );
  await net().requireSound();
}, 150_000);
