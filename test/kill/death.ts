/** A deed during which a daemon dies at its step, and is started again. */
import { expect } from 'vitest';
import { requireWholeManifests, toolsOf } from './invariants.ts';
import { untilTrue } from './process-cluster.ts';
import type { ProcessCluster } from './process-cluster.ts';
import type { Kill } from './steps.ts';

/** `first`: a death that comes before; then the one of `kill` is in what follows from it. */
export async function withDeath<T>(cluster: ProcessCluster, kill: Kill, act: () => Promise<T>, first?: Kill): Promise<T> {
  const deaths = [...(first === undefined ? [] : [first]), kill];
  // A daemon has one order at a time: the second is given to it when it starts again.
  const early = first?.daemon === kill.daemon ? [first] : deaths;
  for (const each of early) await cluster.arm(each.daemon, orderOf(each));
  const acting = act();
  try {
    for (const each of deaths) {
      if (!early.includes(each)) await cluster.arm(each.daemon, orderOf(each));
      if (each !== deaths[0] && !early.includes(each)) await cluster.start(each.daemon);
      await requireDeath(cluster, each, acting);
      if (each === kill || first?.daemon !== kill.daemon) await cluster.start(each.daemon);
    }
  } catch (error) {
    acting.catch(() => undefined);
    throw error;
  }
  return acting;
}

const orderOf = ({ moment, count, step }: Kill) => `${moment} ${count} ${step}`;

async function requireDeath(cluster: ProcessCluster, { daemon, moment, step }: Kill, acting: Promise<unknown>): Promise<void> {
  const end = await Promise.race([cluster.died(daemon), acting.then(() => 'it is alive')]);
  expect(end, `${daemon} dies ${moment} ${step}`).toBe('SIGKILL');
  await requireWholeManifests(cluster);
  await untilTrue(async () => expect(await toolsOf(cluster, daemon), 'no tool outlives its agent').toEqual([]), 2000);
}
