/** A controller in this process: real catalogue, real mTLS, and agents that say what the test tells them to. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { expect, vi } from 'vitest';
import { createAuthority, createGrantKeys, issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AdminServiceClient, AdminServiceService, WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { Run, TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy, RunState } from '#common/gen/holdfast/v1/types.ts';
import type { Source } from '#common/gen/holdfast/v1/types.ts';
import { createLogger } from '#common/log.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import type { PeerRole, TlsFiles } from '#common/tls.ts';
import { controllerConfigSchema } from '../../controller/config.ts';
import type { ControllerConfig } from '../../controller/config.ts';
import { startController } from '../../controller/controller.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import type { Store } from '../../controller/store/store.ts';
import { connectAgent } from './fake-agent.ts';
import type { AgentOptions, FakeAgent } from './fake-agent.ts';

/** The machine's clock, which a test may move. */
export interface MovableClock extends Clock {
  /** So much time passes, for everybody. */
  advance(ms: number): void;
  /** Somebody sets the wall clock, forward or back; no time passes. */
  set(ms: number): void;
}

export function movableClock(): MovableClock {
  let [wall, steady] = [0, 0];
  return {
    machine: 'controller',
    now: () => systemClock.now() + wall,
    monotonic: () => systemClock.monotonic() + steady,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    advance(ms) {
      wall += ms;
      steady += ms;
    },
    set: (ms) => void (wall += ms),
  };
}

export interface Cluster extends AsyncDisposable {
  readonly clock: MovableClock;
  readonly directory: string;
  readonly grantPublicKey: string;
  address(): string;
  admin(): AdminApi;
  client(): AdminServiceClient;
  files(name: string, role: PeerRole): Promise<TlsFiles>;
  agent(node: string, options?: Partial<AgentOptions>): Promise<FakeAgent>;
  stop(): Promise<void>;
  /** `changes`: what its configuration says from now on. */
  start(changes?: Partial<ControllerConfig>): Promise<void>;
}

/** `between` puts something between the controller and its catalogue: a fault, a count. */
export async function startCluster(
  settings: Record<string, unknown> = {},
  between: (store: Store) => Store = (store) => store,
): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-controller-'));
  const clock = movableClock();
  const now = systemClock.now();
  const authority = await createAuthority({ commonName: 'test', days: 1, now });
  const grants = createGrantKeys();
  const issue = (name: string, role: PeerRole) =>
    issueCertificate(authority, { commonName: name, role, hosts: ['127.0.0.1', 'localhost'], days: 1, now });
  const filesOf = ({ certPem, keyPem }: KeyAndCertificate): TlsFiles => ({
    ca: Buffer.from(authority.certPem),
    cert: Buffer.from(certPem),
    key: Buffer.from(keyPem),
  });
  const own = await issue('controller', 'controller');
  const at = (name: string) => join(directory, name);
  await writeFile(at('ca.crt'), authority.certPem);
  await writeFile(at('own.crt'), own.certPem);
  await writeFile(at('own.key'), own.keyPem, { mode: 0o600 });
  await writeFile(at('grant.key'), grants.privatePem, { mode: 0o600 });
  let config: ControllerConfig = controllerConfigSchema.parse({
    listen: { host: '127.0.0.1', port: 0 },
    tls: { ca: at('ca.crt'), cert: at('own.crt'), key: at('own.key') },
    stateDirectory: at('state'),
    grantSigningKey: at('grant.key'),
    managementNodes: { active: 'mn1', standby: 'mn2' },
    defaultTask: { enabled: false },
    heartbeat: '1s',
    lease: '2s',
    tick: '50ms',
    planTimeout: '5s',
    deletionGrace: '0s',
    watch: { every: '50ms' },
    ...settings,
  });
  const log = createLogger('controller');
  log.level = process.env['HOLDFAST_LOG'] ?? 'fatal';
  const adminFiles = filesOf(await issue('operator', 'admin'));

  await mkdir(config.stateDirectory, { mode: 0o700 });
  const open = async () => between(await openSqliteStore(join(config.stateDirectory, 'catalogue.sqlite')));
  let store = await open();
  let controller = await startController(config, store, clock, log);
  let client = new AdminServiceClient(controller.address, grpcChannelCredentials(adminFiles));
  let running = true;
  const agents = new Set<FakeAgent>();

  async function stop(): Promise<void> {
    if (!running) return;
    running = false;
    client.close();
    try {
      await controller.stop();
    } finally {
      await store.close();
    }
  }

  return {
    clock,
    directory,
    grantPublicKey: grants.publicPem,
    address: () => controller.address,
    admin: () => promised(client),
    client: () => client,
    files: async (name, role) => filesOf(await issue(name, role)),
    async agent(node, options = {}) {
      const agent = await connectAgent(controller.address, filesOf(await issue(node, 'agent')), { node, clock, ...options });
      agents.add(agent);
      return agent;
    },
    stop,
    async start(changes = {}) {
      config = { ...config, ...changes };
      store = await open();
      controller = await startController(config, store, clock, log);
      client = new AdminServiceClient(controller.address, grpcChannelCredentials(adminFiles));
      running = true;
    },
    async [Symbol.asyncDispose]() {
      for (const agent of agents) agent.leave();
      await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

type Methods = typeof AdminServiceService;

/** The API, each call a promise of its answer. */
export type AdminApi = {
  readonly [K in Exclude<keyof Methods, 'watchRun'>]: (
    request: ReturnType<Methods[K]['requestDeserialize']>,
  ) => Promise<ReturnType<Methods[K]['responseDeserialize']>>;
};

export function promised(client: AdminServiceClient): AdminApi {
  const calls = Object.entries(AdminServiceService).map(([name, { path, requestSerialize, responseDeserialize }]) => [
    name,
    (request: unknown) =>
      new Promise((resolve, reject) => {
        const write = requestSerialize as (value: unknown) => Buffer;
        client.makeUnaryRequest<unknown, unknown>(path, write, responseDeserialize, request, (error, response) =>
          error === null ? resolve(response) : reject(error),
        );
      }),
  ]);
  return Object.fromEntries(calls) as AdminApi;
}

export const OMS: Source = { policy: BackupPolicy.BACKUP_POLICY_FULL, kind: { $case: 'oms', value: {} } };
export const LDAP: Source = { policy: BackupPolicy.BACKUP_POLICY_FULL, kind: { $case: 'ldapServer', value: {} } };

export function taskSpec(name: string, changes: Partial<TaskSpec> = {}): TaskSpec {
  return {
    name,
    sources: [OMS],
    target: { pathType: { $case: 'localDir', value: {} } },
    copies: 2,
    mode: { $case: 'manual', value: {} },
    whenLate: WhenLate.WHEN_LATE_UNSPECIFIED,
    retention: undefined,
    wantedAgeSeconds: 0n,
    ...changes,
  };
}

const ENDED: readonly RunState[] = [RunState.RUN_STATE_SUCCESSFUL, RunState.RUN_STATE_FAILED, RunState.RUN_STATE_STOPPED];

export async function untilEnded(client: AdminApi, id: string): Promise<Run> {
  return vi.waitFor(
    async () => {
      const { run } = await client.getRun({ id });
      if (run === undefined || !ENDED.includes(run.state)) throw new Error(`run ${id} is in state ${run?.state}`);
      return run;
    },
    { timeout: 15_000, interval: 20 },
  );
}

export async function until(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 15_000, interval: 20 });
}

export async function runTask(client: AdminApi, name: string): Promise<string> {
  const { run } = await client.runTask({ requestId: '', name });
  expect(run?.id).toBeTruthy();
  return run?.id ?? '';
}

export async function refusalOf(doing: Promise<unknown>): Promise<ServiceError> {
  return doing.then(
    () => expect.unreachable('it was accepted'),
    (error: unknown) => error as ServiceError,
  );
}
