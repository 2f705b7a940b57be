/** Agents outlive the memory of the controller: who has ever said Hello is missed, until it is back or forgotten. */
import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await startCluster();
  await managementNodes();
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function managementNodes(): Promise<void> {
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
}

async function restart(): Promise<void> {
  await cluster.stop();
  await cluster.start();
  await managementNodes();
}

async function lost() {
  const { alarms } = await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' });
  return alarms.filter(({ id }) => id === 12063).map(({ subject, raisedMs }) => ({ subject, raisedMs }));
}
const nodes = async () => (await cluster.admin().listAgents({ pageSize: 0, pageToken: '' })).agents.map(({ node }) => node);
const forget = (node: string, requestId = '') => cluster.admin().forgetAgent({ requestId, node });
const refused = (node: string) =>
  forget(node).then(
    () => expect.unreachable(`${node} was forgotten`),
    (error: unknown) => error as ServiceError,
  );

test('an agent that does not come back after a restart of the controller is shown, missed, and a part of the topology', async () => {
  const dn1 = await cluster.agent('dn1', { sources: ['NameNode'] });
  const seen = (await cluster.admin().getAgent({ node: 'dn1' })).agent;
  dn1.leave();
  await restart();
  const { agent } = await cluster.admin().getAgent({ node: 'dn1' });
  expect(agent).toMatchObject({ connected: false, sources: ['NameNode'], version: '0.1.0' });
  expect(agent?.lastSeenMs).toBeGreaterThanOrEqual((seen?.lastSeenMs ?? 0n) - 2000n);

  const dn2 = await cluster.agent('dn2', { sources: ['OMS'] });
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
  await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'nightly'));
  const [assign] = dn2.assigns;
  expect(assign?.work?.$case === 'backup' && assign.work.value.topology).toEqual(['dn1: NameNode', 'dn2: OMS', 'mn1: ', 'mn2: ']);
  await until(async () => expect((await lost()).map(({ subject }) => subject)).toEqual(['dn1']));
});

test('12063 that is up stays up over a restart of the controller, and is cleared when the agent is back', async () => {
  (await cluster.agent('dn1')).leave();
  await until(async () => expect(await lost()).toHaveLength(1));
  const before = await lost();
  await restart();
  await cluster.agent('dn2');
  expect(await lost()).toEqual(before);
  await cluster.agent('dn1');
  await until(async () => expect(await lost()).toEqual([]));
});

test('a node that is gone for good is forgotten on request, also over a restart, and known again should it come', async () => {
  const dn1 = await cluster.agent('dn1');
  expect((await refused('dn1')).details).toContain('it is connected');
  dn1.leave();
  await until(async () => expect(await lost()).toHaveLength(1));
  expect((await refused('mn1')).code).toBe(status.FAILED_PRECONDITION);
  expect((await refused('dn9')).code).toBe(status.NOT_FOUND);
  await forget('dn1', 'once');
  expect(await lost()).toEqual([]);
  expect(await nodes()).toEqual(['mn1', 'mn2']);
  await forget('dn1', 'once');
  expect((await refused('dn1')).code).toBe(status.NOT_FOUND);
  await restart();
  expect(await nodes()).toEqual(['mn1', 'mn2']);
  await cluster.agent('dn1');
  expect(await nodes()).toEqual(['dn1', 'mn1', 'mn2']);
});

test('a node with a share in a run is not forgotten before it was given up', async () => {
  const dn1 = await cluster.agent('dn1', { sources: ['OMS'], onAssign: () => undefined });
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
  const id = await runTask(cluster.admin(), 'nightly');
  await until(() => expect(dn1.assigns).toHaveLength(1));
  dn1.leave();
  await until(async () => expect((await cluster.admin().getAgent({ node: 'dn1' })).agent?.connected).toBe(false));
  expect((await refused('dn1')).details).toContain(id);
  await untilEnded(cluster.admin(), id);
  await forget('dn1');
  expect(await nodes()).toEqual(['mn1', 'mn2']);
});

test('many agents that say Hello at once are all known after a restart', async () => {
  const names = Array.from({ length: 30 }, (_none, number) => `dn${String(number).padStart(2, '0')}`);
  await Promise.all(names.map((name) => cluster.agent(name)));
  await restart();
  expect(await nodes()).toEqual([...names, 'mn1', 'mn2']);
});
