/** Lines that are slow, long and moody, but whole: nobody is lost on them. */
import { expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { requireOrder } from '../process/order.ts';
import { untilTrue } from '../process/process-cluster.ts';
import { LEASE_MS, PLACES, startRelay, useNetCluster } from './net-cluster.ts';
import { ADDRESS } from './network.ts';

const net = useNetCluster();

/** Of the long line; printed, and set to repeat a run of it. */
const SEED = Number(process.env['HOLDFAST_NET_SEED'] ?? systemClock.now() % 1_000_000);

/** Looks on until the run has ended: what was told of it and of its agent meanwhile. */
async function watch(id: string) {
  const seen = { silences: [] as number[], done: new Set<bigint>(), connected: new Set<boolean>() };
  await untilTrue(async () => {
    const { sources, endedMs } = await net().run(id);
    const { connected, lastSeenMs } = await net().agent('dn1');
    seen.connected.add(connected);
    seen.silences.push(systemClock.now() - Number(lastSeenMs));
    const { progress } = sources[0] ?? {};
    if (progress?.phase === 'store') seen.done.add(progress.doneBytes);
    expect(endedMs).toBeGreaterThan(0n);
  }, 150_000);
  return seen;
}

const sessions = async () => (await net().logOf('dn1')).split('session with the controller').length - 1;

test('at 10 Mbit/s a backup succeeds, heartbeats keep coming, progress is told, and nobody is lost', async () => {
  await net().fill(40);
  const before = await sessions();
  await using slow = await net().network.slow('dn1', '10mbit');
  const id = await net().backUp();
  const seen = await watch(id);
  expect((await net().run(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  // Both copies went over that line: it was as slow as it was to be.
  const { startedMs, endedMs } = await net().run(id);
  expect(Number(endedMs - startedMs)).toBeGreaterThan((2 * 40 * 8 * 1000) / 10.5);
  expect([...seen.connected]).toEqual([true]);
  expect(Math.max(...seen.silences)).toBeLessThan(LEASE_MS / 2);
  // It is that of what was packed, which is ahead of the line by what lies in buffers: of this backup, nearly all.
  expect(seen.done.size, 'progress was told').toBeGreaterThan(0);
  expect(await sessions()).toBe(before);
  await slow.heal();
  await requireOrder(net());
}, 180_000);

test('on a line of 300 ms each way that stalls at random, session and transfers survive', async () => {
  process.stdout.write(`HOLDFAST_NET_SEED=${SEED}\n`);
  await net().end('dn1');
  await untilTrue(async () => expect((await net().agent('dn1')).connected).toBe(false));
  const socket = (name: string) => `${net().directory}/${name}.line`;
  const remote = ['controller', 'mn1', 'mn2'] as const;
  await using _far = await startRelay(net().network, 'switch', {
    routes: remote.map((name) => ({ listen: socket(name), connect: PLACES[name] })),
  });
  await using _captured = await net().network.captured(
    'dn1',
    remote.map((name) => ADDRESS[name]),
  );
  await using line = await startRelay(net().network, 'dn1', {
    routes: remote.map((name) => ({ listen: PLACES[name], connect: socket(name) })),
    delayMs: 300,
    stallMs: 4000,
    seed: SEED,
  });
  const before = await sessions();
  net().start('dn1');
  await untilTrue(async () => expect((await net().agent('dn1')).connected).toBe(true));
  await net().fill(24);
  const id = await net().backUp();
  const seen = await watch(id);
  expect((await net().run(id)).fault?.message).toBeUndefined();
  expect((await net().run(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  expect(line.said().match(/stalled/g)?.length ?? 0, 'the line did stall').toBeGreaterThan(1);
  expect([...seen.connected]).toEqual([true]);
  expect(await sessions()).toBe(before + 1);
  await requireOrder(net());

  await net().end('dn1');
  await line[Symbol.asyncDispose]();
  await _captured.heal();
  net().start('dn1');
  await net().requireSound();
}, 180_000);
