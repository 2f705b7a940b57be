/** The product in a network of its own: every daemon on a machine of its own, the test beside them, not on their net. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { systemClock } from '#common/clock.ts';
import type { Agent, Alarm, Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { taskSpec } from '../controller/cluster.ts';
import { VAULTS, incomingOf, requireOrder } from '../process/order.ts';
import { DAEMONS, NEVER_ALONE, startProcessCluster, untilTrue } from '../process/process-cluster.ts';
import type { ProcessCluster } from '../process/process-cluster.ts';
import { ADDRESS, createNetwork } from './network.ts';
import type { Machine, Network } from './network.ts';
import type { Relay } from './relay.ts';

export const TASK = 'oms_only';
export const LEASE_MS = 10_000;
/** What a busy machine may be late. */
export const SLACK_MS = 5000;
const API_PORT = 25_700;
const VAULT_PORT = 25_701;
export const PLACES = {
  controller: `${ADDRESS.controller}:${API_PORT}`,
  mn1: `${ADDRESS.mn1}:${VAULT_PORT}`,
  mn2: `${ADDRESS.mn2}:${VAULT_PORT}`,
  dn1: ADDRESS.dn1,
} as const;

export interface NetCluster extends ProcessCluster {
  readonly network: Network;
  /** Asks for a backup; its run's id. */
  backUp(): Promise<string>;
  run(id: string): Promise<Run>;
  untilEnded(id: string): Promise<Run>;
  agent(node: string): Promise<Agent>;
  /** Resolves when the controller has not heard of the node for a while. */
  untilSilent(node: string): Promise<void>;
  /** So many bytes that no compressor makes smaller. */
  fill(megabytes: number): Promise<void>;
  /** A backup that is in the middle of its transfer to both vaults; its run's id. The line must be slow for it. */
  transferring(): Promise<string>;
  /** Lines of a run's log. */
  logOfRun(id: string): Promise<string[]>;
  /** Alarms of that number that are up. */
  alarms(id: number): Promise<Alarm[]>;
  /** The dump of the source stands still until this is disposed of. */
  holdDump(): Promise<AsyncDisposable>;
  /** Everything is in order, and a backup succeeds and is in order too. */
  requireSound(): Promise<void>;
}

/** For a whole file of tests; what the daemons logged last is printed when one of them fails. */
export function useNetCluster(): () => NetCluster {
  let cluster: NetCluster | undefined;
  beforeAll(async () => {
    cluster = await startNetCluster();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail' || cluster === undefined) return;
    for (const daemon of DAEMONS) {
      const lines = (await cluster.logOf(daemon)).split('\n').slice(-LAST_LINES);
      process.stderr.write(`--- ${daemon}, after "${task.name}"\n${lines.join('\n')}\n`);
    }
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());
  return () => {
    if (cluster === undefined) throw new Error('the cluster was not started');
    return cluster;
  };
}

const LAST_LINES = 40;

async function startNetCluster(): Promise<NetCluster> {
  await using made = new AsyncDisposableStack();
  const network = made.use(await createNetwork());
  const socket = (directory: string) => join(directory, 'api.sock');
  const cluster = made.use(
    await startProcessCluster({
      places: PLACES,
      api: (directory) => `unix:${socket(directory)}`,
      wrap: (daemon, command) => network.inside(daemon, command),
      settings: `heartbeat: 1s\nlease: ${LEASE_MS}ms\ntick: 100ms\ndeletionGrace: 0s`,
    }),
  );
  made.use(
    await startRelay(network, 'controller', { routes: [{ listen: socket(cluster.directory), connect: PLACES.controller }] }),
  );
  for (const daemon of DAEMONS) cluster.start(daemon);
  await untilTrue(() => cluster.admin().createTask({ requestId: 'create', spec: taskSpec(TASK, { copies: 1 }) }));
  await requireOrder(cluster);
  const held = made.move();

  const run = async (id: string) => {
    const found = (await cluster.admin().getRun({ id })).run;
    if (found === undefined) throw new Error(`there is no run ${id}`);
    return found;
  };
  const agent = async (node: string) => {
    const found = (await cluster.admin().getAgent({ node })).agent;
    if (found === undefined) throw new Error(`there is no agent ${node}`);
    return found;
  };
  const backUp = async () => (await cluster.admin().runTask({ requestId: '', name: TASK })).run?.id ?? '';
  const untilEnded = (id: string) =>
    untilTrue(async () => {
      const found = await run(id);
      expect(found.endedMs, `run ${id} has ended`).toBeGreaterThan(0n);
      return found;
    }, 90_000);
  const fill = (megabytes: number) => writeFile(join(cluster.configuration, 'bulk'), randomBytes(megabytes * 1024 * 1024));
  /** Bytes of the first file that the vault is just taking in. */
  const takenIn = async (node: string) => {
    const [name] = await incomingOf(cluster, node);
    return name === undefined ? 0 : (await stat(join(cluster.vaultOf(node), '.holdfast', 'incoming', name))).size;
  };

  return {
    ...cluster,
    network,
    backUp,
    run,
    untilEnded,
    agent,
    untilSilent: (node) =>
      untilTrue(async () => expect(systemClock.now() - Number((await agent(node)).lastSeenMs)).toBeGreaterThan(3000)),
    fill,

    async transferring() {
      await fill(16);
      const id = await backUp();
      for (const node of VAULTS) await untilTrue(async () => expect(await takenIn(node)).toBeGreaterThan(0));
      return id;
    },

    logOfRun: async (id) =>
      (await cluster.admin().listRunLog({ id, pageSize: 1000, pageToken: '' })).lines.map(({ message }) => message),
    alarms: async (id) =>
      (await cluster.admin().listAlarms({ pageSize: 1000, pageToken: '', history: false })).alarms.filter(
        (alarm) => alarm.id === id,
      ),

    async holdDump() {
      const holder = await cluster.server.client('oms');
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE host IN ACCESS EXCLUSIVE MODE');
      return { [Symbol.asyncDispose]: () => holder.end() };
    },

    async requireSound() {
      await requireOrder(cluster);
      const id = await backUp();
      expect((await untilEnded(id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
      const { sets } = await requireOrder(cluster);
      expect(sets.map(({ runId }) => runId)).toEqual([id]);
    },

    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

export interface RunningRelay extends AsyncDisposable {
  /** What it has printed. */
  said(): string;
}

export async function startRelay(network: Network, machine: Machine | 'switch', relay: Relay): Promise<RunningRelay> {
  const [command = '', ...args] = network.inside(machine, [
    ...NEVER_ALONE,
    process.execPath,
    resolve('test/net/relay.ts'),
    JSON.stringify(relay),
  ]);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  await untilTrue(() => {
    expect(child.exitCode, 'the relay lives').toBeNull();
    expect(said).toContain('ready');
  });
  return {
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
