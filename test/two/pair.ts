/** Two controllers on one PostgreSQL and the agents of a small cluster: real processes, of which a test may kill, pause and start each. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Metadata, credentials } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { execa } from 'execa';
import { expect, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { systemClock } from '#common/clock.ts';
import { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { init } from '../../controller/cli/init.ts';
import { readLayout } from '../../controller/cli/init-layout.ts';
import { freePort } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';

export interface Daemon {
  readonly said: () => string;
  start(): void;
  signal(name: NodeJS.Signals): void;
  /** Sends it and waits for the end of the process. */
  end(name: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

export interface TestController extends Daemon {
  readonly address: string;
  readonly config: string;
  readonly client: AdminServiceClient;
  /** undefined: it leads; else what it says. */
  ask(): Promise<ServiceError | undefined>;
}

export interface Pair extends AsyncDisposable {
  readonly directory: string;
  readonly controllers: readonly [TestController, TestController];
  readonly agents: readonly Daemon[];
  /** Waits until one of them leads. */
  leader(): Promise<TestController>;
  other(than: TestController): TestController;
  /** The command line with both controllers in its client.yaml. */
  holdfast(...args: string[]): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }>;
  json(...args: string[]): Promise<unknown>;
}

/** `databases`: of the catalogue, made here, and of the OMS that mn1 backs up, with a directory of configuration. */
export async function startPair(server: TestServer, databases: { catalogue: string; oms: string }): Promise<Pair> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-two-'));
  const directory = join(root, 'made');
  const [one, two, active, standby] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const addresses = [`127.0.0.1:${one}`, `127.0.0.1:${two}`] as const;
  const layout = readLayout({
    directory,
    controller: addresses,
    active: `mn1=127.0.0.1:${active}`,
    standby: `mn2=127.0.0.1:${standby}`,
    node: [],
    dataPath: join(root, 'data'),
    days: '1',
  });
  await init(layout, systemClock.now());
  await server.sql('postgres', `create database ${databases.catalogue}`);
  const passwordFile = server.passwordFile;
  const postgres = { host: '127.0.0.1', port: server.port, user: 'postgres', passwordFile };
  const configs = ['controller', 'controller-2'].map((name) => join(directory, name, 'controller.yaml'));
  for (const config of configs) {
    await edit(config, {
      catalogue: { postgres: { ...postgres, database: databases.catalogue } },
      minimumFree: '1 MB',
      defaultTask: { enabled: false },
    });
  }
  const omsDirectory = join(root, 'oms-conf');
  await mkdir(omsDirectory);
  await writeFile(join(omsDirectory, 'oms.conf'), 'setting = 1\n');
  const agents = await Promise.all(
    ['mn1', 'mn2'].map(async (node) => {
      const config = join(directory, 'nodes', node, 'agent.yaml');
      const vault = (parse(await readFile(config, 'utf8')) as { vault: object }).vault;
      const oms = { database: { ...postgres, name: databases.oms }, configuration: [omsDirectory] };
      await edit(config, { vault: { ...vault, minimumFree: '1 MB' }, sources: node === 'mn1' ? { oms } : {} });
      return daemon('agent', config);
    }),
  );
  const at = (name: string) => readFile(join(directory, 'admin', name));
  const tls = credentials.createSsl(await at('ca.crt'), await at('admin.key'), await at('admin.crt'));
  const controllers = addresses.map((address, index): TestController => {
    const config = configs[index] ?? '';
    const client = new AdminServiceClient(address, tls);
    const ask = () =>
      new Promise<ServiceError | undefined>((done) => {
        const deadline = systemClock.now() + 1000;
        client.listTasks({ pageSize: 0, pageToken: '' }, new Metadata(), { deadline }, (error) => done(error ?? undefined));
      });
    return { ...daemon('controller', config), address, config, client, ask };
  }) as [TestController, TestController];

  const holdfast = async (...args: string[]) => {
    const options = { reject: false, stdin: 'ignore' } as const;
    const client = join(directory, 'admin', 'client.yaml');
    const { exitCode, stdout, stderr } = await execa(resolve('scripts/holdfast'), [...args, '--config', client], options);
    return { exitCode, stdout, stderr };
  };
  return {
    directory,
    controllers,
    agents,
    holdfast,
    async json(...args) {
      const { exitCode, stdout, stderr } = await holdfast(...args, '--json');
      expect(exitCode, stderr).toBe(0);
      return JSON.parse(stdout) as unknown;
    },
    async leader() {
      return vi.waitFor(
        async () => {
          for (const each of controllers) if ((await each.ask()) === undefined) return each;
          throw new Error('nobody leads');
        },
        { timeout: 40_000, interval: 100 },
      );
    },
    other: (than) => (than === controllers[0] ? controllers[1] : controllers[0]),
    async [Symbol.asyncDispose]() {
      for (const { client } of controllers) client.close();
      await Promise.all([...agents, ...controllers].map((each) => each.end('SIGKILL')));
      await rm(root, { recursive: true, force: true });
      await server.sql('postgres', `drop database ${databases.catalogue} with (force)`);
    },
  };
}

async function edit(file: string, changes: object): Promise<void> {
  const before = parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, stringify({ ...before, ...changes }));
}

export function daemon(program: 'controller' | 'agent', config: string): Daemon {
  let said = '';
  let child: ReturnType<typeof run> | undefined;
  const run = () =>
    execa(process.execPath, [`${program}/main.ts`, '--config', config], { reject: false, stdin: 'ignore', buffer: false });
  return {
    said: () => said,
    start() {
      child = run();
      child.stderr.on('data', (text: Buffer) => (said += text.toString()));
    },
    signal: (name) => void child?.kill(name),
    async end(name) {
      child?.kill(name);
      if (name === 'SIGKILL') child?.kill('SIGCONT');
      await child;
      child = undefined;
    },
  };
}
