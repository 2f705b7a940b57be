/** A cluster of real processes on real services, each of which can be killed at a chosen step and started again. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { init } from '../../controller/cli/init.ts';
import { readLayout } from '../../controller/cli/init-layout.ts';
import { promised } from '../controller/cluster.ts';
import type { AdminApi } from '../controller/cluster.ts';
import { freePort, startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';

export const NODES = ['mn1', 'mn2', 'dn1'] as const;
export const DAEMONS = ['controller', ...NODES] as const;
export type Daemon = (typeof DAEMONS)[number];

export interface ProcessCluster extends AsyncDisposable {
  readonly directory: string;
  readonly server: TestServer;
  readonly configuration: string;
  admin(): AdminApi;
  start(daemon: Daemon): Promise<void>;
  stop(daemon: Daemon): Promise<void>;
  /** "before 1 commit runs": see preload.ts. */
  arm(daemon: Daemon, kill: string): Promise<void>;
  disarm(daemon: Daemon): Promise<void>;
  /** Resolves with the signal when the daemon has died. */
  died(daemon: Daemon): Promise<string>;
  /** Names of the steps that the daemon took, each time it took them, since they were forgotten. */
  stepsOf(daemon: Daemon): Promise<string[]>;
  forgetSteps(): Promise<void>;
  vaultOf(node: string): string;
  stateOf(node: string): string;
}

export async function startProcessCluster(): Promise<ProcessCluster> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-kill-'));
  const server = await startServer();
  const configuration = join(root, 'sources', 'conf');
  await mkdir(configuration, { recursive: true });
  await writeFile(join(configuration, 'oms.conf'), 'as backed up\n');
  await server.sql('postgres', 'CREATE DATABASE oms');
  await server.sql('oms', 'CREATE TABLE host (name text)', "INSERT INTO host VALUES ('as backed up')");

  const directory = join(root, 'cluster');
  const [api, vault1, vault2] = [await freePort(), await freePort(), await freePort()];
  const layout = readLayout({
    directory,
    controller: `127.0.0.1:${api}`,
    active: `mn1=127.0.0.1:${vault1}`,
    standby: `mn2=127.0.0.1:${vault2}`,
    node: ['dn1=127.0.0.1'],
    dataPath: join(root, 'data'),
    // Longer than the alarm about certificates that end soon looks ahead.
    days: '365',
  });
  await init(layout, systemClock.now());
  await configure(directory, server, configuration);

  const children = new Map<Daemon, { child: ChildProcess; ended: Promise<string> }>();
  const at = (name: string) => readFile(join(directory, 'admin', name));
  const client = new AdminServiceClient(
    `127.0.0.1:${api}`,
    credentials.createSsl(await at('ca.crt'), await at('admin.key'), await at('admin.crt')),
    // It is often gone, and soon back.
    { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500 },
  );
  const stepsFile = (daemon: Daemon) => join(root, `${daemon}.steps`);
  const killFile = (daemon: Daemon) => join(root, `${daemon}.kill`);

  return {
    directory: root,
    server,
    configuration,
    admin: () => promised(client),
    async start(daemon) {
      const [program, config] =
        daemon === 'controller'
          ? ['controller/main.ts', 'controller/controller.yaml']
          : ['agent/main.ts', `nodes/${daemon}/agent.yaml`];
      const log = openSync(join(root, `${daemon}.log`), 'a');
      const command = [process.execPath, '--import', resolve('test/kill/preload.ts'), resolve(program)];
      // A test that is interrupted leaves no daemon behind.
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command, '--config', join(directory, config)], {
        stdio: ['ignore', log, log],
        env: { ...process.env, HOLDFAST_STEPS: stepsFile(daemon), HOLDFAST_KILL: killFile(daemon) },
      });
      closeSync(log);
      children.set(daemon, { child, ended: once(child, 'exit').then(([status, signal]) => String(signal ?? status)) });
    },
    async stop(daemon) {
      const running = children.get(daemon);
      running?.child.kill('SIGTERM');
      await running?.ended;
    },
    async arm(daemon, kill) {
      // By a rename: it must not be read half.
      await writeFile(`${killFile(daemon)}.tmp`, kill);
      await rename(`${killFile(daemon)}.tmp`, killFile(daemon));
    },
    disarm: (daemon) => rm(killFile(daemon), { force: true }),
    died: async (daemon) => (await children.get(daemon)?.ended) ?? 'it was never started',
    async stepsOf(daemon) {
      const text = await readFile(stepsFile(daemon), 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
    async forgetSteps() {
      for (const daemon of DAEMONS) await rm(stepsFile(daemon), { force: true });
    },
    vaultOf: (node) => join(root, 'data', node, 'LocalBackup'),
    stateOf: (node) => join(directory, 'nodes', node, 'state'),
    async [Symbol.asyncDispose]() {
      client.close();
      for (const { child } of children.values()) child.kill('SIGTERM');
      for (const { ended } of children.values()) await ended;
      await server.stop();
      // For whoever looks for the reason of a failure in the logs.
      if (process.env['HOLDFAST_KILL_KEEP'] === undefined) await rm(root, { recursive: true, force: true });
    },
  };
}

/**
 * Short times, no free space asked for, no grace: what takes an hour in production takes a moment here. But an agent that is started again
 * on a busy machine is not given up meanwhile: its run would end by other steps.
 */
async function configure(directory: string, server: TestServer, configuration: string): Promise<void> {
  const edit = async (path: string, change: (text: string) => string) => {
    const file = join(directory, path);
    await writeFile(file, change(await readFile(file, 'utf8')));
  };
  await edit(
    'controller/controller.yaml',
    (text) => `${text.replace('period: 24h', 'enabled: false')}
heartbeat: 1s
lease: 4s
tick: 100ms
minimumFree: 0 B
deletionGrace: 0s
watch: { every: 200ms }
`,
  );
  for (const node of await readdir(join(directory, 'nodes'))) {
    await edit(`nodes/${node}/agent.yaml`, (text) => text.replace('minimumFree: 20 GB', 'minimumFree: 0 B'));
  }
  await edit('nodes/dn1/agent.yaml', (text) =>
    text.replace(
      /^sources: \{\}[^]*$/m,
      `sources:
  oms:
    database: { host: 127.0.0.1, port: ${server.port}, user: postgres, passwordFile: ${server.passwordFile}, name: oms }
    configuration: [${configuration}]
`,
    ),
  );
}

export async function untilTrue(check: () => unknown, timeout = 30_000): Promise<void> {
  await vi.waitFor(check, { timeout, interval: 50 });
}

/** Asked for until it is answered, whoever is away meanwhile. */
export async function answered<T>(ask: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  await untilTrue(async () => answers.push(await ask()));
  return answers[0] as T;
}
