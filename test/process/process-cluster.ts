/** A cluster of real processes on a real PostgreSQL, in directories of its own; where each runs, and where it listens, is the test's choice. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
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
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';

export const DAEMONS = ['controller', 'mn1', 'mn2', 'dn1'] as const;
export type Daemon = (typeof DAEMONS)[number];

/** Before a command: it does not outlive this process, however that ends. */
export const NEVER_ALONE = ['setpriv', '--pdeathsig', 'KILL', '--'] as const;

export interface ProcessClusterOptions {
  /** host:port of the controller and of both vaults, host of dn1. */
  readonly places: Readonly<Record<Daemon, string>>;
  /** Where this process reaches the API, as gRPC names it: the way there may be another than that of the agents. */
  readonly api: (directory: string) => string;
  /** The command that a daemon is started with, as the test wants it: in another place, under another's eyes. */
  readonly wrap: (daemon: Daemon, command: readonly string[]) => readonly string[];
  /** More lines of controller.yaml. */
  readonly settings: string;
}

export interface ProcessCluster extends AsyncDisposable {
  readonly directory: string;
  readonly server: TestServer;
  /** A directory that is backed up with the database. */
  readonly configuration: string;
  admin(): AdminApi;
  start(daemon: Daemon): void;
  /** By SIGTERM, unless told otherwise; resolves when it has ended. */
  end(daemon: Daemon, signal?: NodeJS.Signals): Promise<void>;
  /** What the daemon has logged since it was started first. */
  logOf(daemon: Daemon): Promise<string>;
  vaultOf(node: string): string;
  stateOf(node: string): string;
}

export async function startProcessCluster(options: ProcessClusterOptions): Promise<ProcessCluster> {
  await using made = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'holdfast-cluster-'));
  made.defer(() => rm(root, { recursive: true, force: true }));
  const server = await startServer();
  made.defer(() => server.stop());
  const configuration = join(root, 'sources', 'conf');
  await mkdir(configuration, { recursive: true });
  await writeFile(join(configuration, 'oms.conf'), 'as backed up\n');
  await server.sql('postgres', 'CREATE DATABASE oms');
  await server.sql('oms', 'CREATE TABLE host (name text)', "INSERT INTO host VALUES ('as backed up')");

  const directory = join(root, 'cluster');
  const { controller, mn1, mn2, dn1 } = options.places;
  const layout = readLayout({
    directory,
    controller,
    active: `mn1=${mn1}`,
    standby: `mn2=${mn2}`,
    node: [`dn1=${dn1}`],
    dataPath: join(root, 'data'),
    days: '1',
  });
  await init(layout, systemClock.now());
  await configure(root, directory, server, configuration, options.settings);

  const children = new Map<Daemon, { child: ChildProcess; ended: Promise<void> }>();
  const at = (name: string) => readFile(join(directory, 'admin', name));
  const client = new AdminServiceClient(
    options.api(root),
    // Whoever answers on the test's own way is the controller of the test, under whatever name.
    credentials.createSsl(await at('ca.crt'), await at('admin.key'), await at('admin.crt'), {
      checkServerIdentity: () => undefined,
    }),
    { 'grpc.initial_reconnect_backoff_ms': 200, 'grpc.max_reconnect_backoff_ms': 1000 },
  );
  made.defer(() => client.close());
  const logFile = (daemon: Daemon) => join(root, `${daemon}.log`);
  const end = async (daemon: Daemon, signal: NodeJS.Signals = 'SIGTERM') => {
    const running = children.get(daemon);
    running?.child.kill(signal);
    await running?.ended;
  };
  made.defer(async () => {
    // At rest they end at once; after a failure what they wait for is not waited for.
    for (const daemon of DAEMONS) await end(daemon, 'SIGKILL');
  });
  const held = made.move();

  return {
    directory: root,
    server,
    configuration,
    admin: () => promised(client),
    start(daemon) {
      const [program, config] =
        daemon === 'controller'
          ? ['controller/main.ts', 'controller/controller.yaml']
          : ['agent/main.ts', `nodes/${daemon}/agent.yaml`];
      const [command = '', ...args] = options.wrap(daemon, [
        ...NEVER_ALONE,
        process.execPath,
        resolve(program),
        '--config',
        join(directory, config),
      ]);
      const log = openSync(logFile(daemon), 'a');
      const child = spawn(command, args, { stdio: ['ignore', log, log] });
      closeSync(log);
      children.set(daemon, { child, ended: once(child, 'exit').then(() => undefined) });
    },
    end,
    logOf: (daemon) => readFile(logFile(daemon), 'utf8'),
    vaultOf: (node) => vaultBelow(root, node),
    stateOf: (node) => join(directory, 'nodes', node, 'state'),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Nodes on one machine, whatever their addresses. */
const vaultBelow = (root: string, node: string) => join(root, 'data', node, 'LocalBackup');

/** Nothing runs that was not asked for, and no free space is asked for: a test machine has little. */
async function configure(
  root: string,
  directory: string,
  server: TestServer,
  configuration: string,
  settings: string,
): Promise<void> {
  const edit = async (path: string, change: (text: string) => string) => {
    const file = join(directory, path);
    await writeFile(file, change(await readFile(file, 'utf8')));
  };
  await edit(
    'controller/controller.yaml',
    (text) => `${text.replace('period: 24h', 'enabled: false')}\nminimumFree: 0 B\n${settings}\n`,
  );
  for (const node of await readdir(join(directory, 'nodes'))) {
    await edit(`nodes/${node}/agent.yaml`, (text) =>
      text
        .replace('minimumFree: 20 GB', 'minimumFree: 0 B')
        .replace(/^ {2}directory: .*$/m, `  directory: ${vaultBelow(root, node)}`),
    );
  }
  // By its Unix socket: that leads to it from every network.
  await edit('nodes/dn1/agent.yaml', (text) =>
    text.replace(
      /^sources: \{\}[^]*$/m,
      `sources:
  oms:
    database: { host: "${server.directory}", port: ${server.port}, user: postgres, passwordFile: ${server.passwordFile}, name: oms }
    configuration: [${configuration}]
`,
    ),
  );
}

export async function untilTrue<T>(check: () => T | Promise<T>, timeout = 60_000): Promise<T> {
  return vi.waitFor(check, { timeout, interval: 50 });
}
