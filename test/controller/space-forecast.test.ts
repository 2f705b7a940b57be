/** 12062: a vault that fills up is told of days before it is full, from samples that outlive the controller. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import { startCluster, until } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import type { FakeAgent } from './fake-agent.ts';
import { vaultFacts } from './fake-agent.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const GB = 10n ** 9n;
let cluster: Cluster;

beforeEach(async () => {
  cluster = await startCluster({ watch: { every: '50ms', sampleEvery: '6h' } });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function up() {
  const { alarms } = await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' });
  return alarms.filter(({ id }) => id === 12062).map(({ subject, detail }) => `${subject}: ${detail}`);
}

function samples(node: string): number {
  using file = new DatabaseSync(join(cluster.directory, 'state', 'catalogue.sqlite'), { readOnly: true });
  return Number(file.prepare('SELECT count(*) AS n FROM space_samples WHERE node = ?').get(node)?.['n']);
}

/** A vault whose facts the test changes; its agent tells them at once, and again with each heartbeat. */
async function vault(node: string, space: Partial<NonNullable<VaultFacts['space']>>) {
  const facts = vaultFacts(node);
  facts.space = { totalBytes: 200n * GB, freeBytes: 100n * GB, usedByBackupsBytes: 0n, ...space };
  const agent: FakeAgent = await cluster.agent(node, { vault: facts });
  return {
    agent,
    async tell(change: Partial<NonNullable<VaultFacts['space']>>) {
      Object.assign(facts.space ?? {}, change);
      agent.say({ $case: 'heartbeat', value: { host: undefined, vault: facts } });
      await until(async () => {
        const { nodes } = await cluster.admin().getSpace({});
        expect(nodes.find((each) => each.node === node)?.vault).toMatchObject(change);
      });
    },
  };
}

async function sampled(node: string): Promise<void> {
  const before = samples(node);
  cluster.clock.advance(6 * HOUR);
  await until(() => expect(samples(node)).toBe(before + 1));
}

test('is up when the partition will be full within a week at the growth seen, until there is room, also over a restart', async () => {
  const mn1 = await vault('mn1', { minimumFreeBytes: 10n * GB });
  await until(() => expect(samples('mn1')).toBe(1));
  for (const freeBytes of [96n, 92n, 88n]) {
    await mn1.tell({ freeBytes: freeBytes * GB });
    await sampled('mn1');
    expect(await up()).toEqual([]);
  }
  await mn1.tell({ freeBytes: 84n * GB });
  await sampled('mn1');
  // The controller asks for 20 GB on the active management node, and 16 GB a day go.
  await until(async () => expect(await up()).toEqual(['mn1: at the growth of the last days it is full in 4 days']));

  mn1.agent.leave();
  await cluster.stop();
  await cluster.start();
  await cluster.agent('dn1');
  expect(await up(), 'nothing new is known of a vault that is away').toHaveLength(1);
  await vault('mn1', { freeBytes: 199n * GB });
  await until(async () => expect(await up()).toEqual([]));
});

test('is up when all backups together will reach the cap of the vault', async () => {
  const mn2 = await vault('mn2', { capBytes: 50n * GB, minimumFreeBytes: 10n * GB });
  await until(() => expect(samples('mn2')).toBe(1));
  for (const used of [4n, 8n, 12n, 16n]) {
    await mn2.tell({ usedByBackupsBytes: used * GB });
    await sampled('mn2');
  }
  await until(async () => expect(await up()).toEqual(['mn2: at the growth of the last days it is full in 2 days']));
  await mn2.tell({ usedByBackupsBytes: 50n * GB });
  cluster.clock.advance(1000);
  await until(async () => expect(await up()).toHaveLength(1));
  await mn2.tell({ capBytes: 600n * GB });
  await until(async () => expect(await up()).toEqual([]));
});

test('a vault that takes nothing more is full, however it grew', async () => {
  const mn1 = await vault('mn1', { freeBytes: 20n * GB });
  await until(async () => expect(await up()).toEqual(['mn1: it is full']));
  await mn1.tell({ freeBytes: 21n * GB });
  await until(async () => expect(await up()).toEqual([]));
});

test('samples are kept for 30 days', async () => {
  await vault('mn1', {});
  await until(() => expect(samples('mn1')).toBe(1));
  await sampled('mn1');
  cluster.clock.advance(30 * DAY - HOUR);
  await until(() => expect(samples('mn1')).toBe(2));
});
