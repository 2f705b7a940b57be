/** The controller of a history: it is killed, and started again on the same catalogue; callers repeat what was not answered. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { pino } from 'pino';
import { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import { controllerConfigSchema } from '../../controller/config.ts';
import { startController } from '../../controller/controller.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import { promised } from '../controller/cluster.ts';
import type { AdminApi } from '../controller/cluster.ts';
import type { Certificates } from './certificates.ts';
import type { ModelClock } from './clock.ts';
import { watchStore } from './watched-store.ts';
import type { WatchedStore, Written } from './watched-store.ts';

/** By the clock of the history. */
export const LEASE_MS = 12_000;
export const HEARTBEAT_MS = 3000;

export interface ControllerNode extends AsyncDisposable {
  /** host:port; undefined while it is dead. */
  address(): string | undefined;
  alive(): boolean;
  /** Nothing when it lives. */
  start(): Promise<void>;
  /** SIGKILL, as far as the catalogue and the agents can tell. */
  kill(): void;
  killAt(write: number, durable: boolean): void;
  /** Asked again, with the same request id, when the controller died over it. Refusals are answers. */
  call<T>(ask: (api: AdminApi) => Promise<T>): Promise<T | ServiceError>;
}

export interface ControllerOptions {
  readonly directory: string;
  readonly certificates: Certificates;
  readonly clock: ModelClock;
  onWritten(written: readonly Written[]): void;
  onDeath(): void;
  /** Before a new one begins: what the old one wrote last has been told by then. */
  onBirth(): void;
  onStart(): void;
}

interface Life {
  readonly watched: WatchedStore;
  readonly address: string;
  readonly client: AdminServiceClient;
  readonly api: AdminApi;
  readonly dead: Promise<void>;
  stop(): Promise<void>;
}

export function createControllerNode(options: ControllerOptions): ControllerNode {
  const { directory, certificates, clock } = options;
  const log = pino({ name: 'controller', level: process.env['HOLDFAST_LOG'] ?? 'silent' }, pino.destination(2));
  const config = controllerConfigSchema.parse({
    listen: { host: '127.0.0.1', port: 0 },
    tls: certificates.paths('controller'),
    stateDirectory: join(directory, 'controller'),
    grantSigningKey: certificates.grantSigningKey,
    managementNodes: { active: 'mn1', standby: 'mn2' },
    defaultTask: { enabled: false },
    heartbeat: `${HEARTBEAT_MS}ms`,
    lease: `${LEASE_MS}ms`,
    tick: '250ms',
    // By the clock of the history, too; nobody else asks for the lead.
    leaderLease: '10m',
    // The second phase of a deletion follows at once.
    deletionGrace: '0s',
    stopTimeout: '60s',
    minimumFree: '20 GB',
  });
  let life: Life | undefined;
  let buried: Promise<unknown> = Promise.resolve();

  /** Several callers may find it dead at once. */
  let starting: Promise<void> | undefined;
  function start(): Promise<void> {
    if (life !== undefined) return Promise.resolve();
    starting ??= begin().finally(() => (starting = undefined));
    return starting;
  }

  async function begin(): Promise<void> {
    await buried;
    options.onBirth();
    await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
    const inner = await openSqliteStore(join(config.stateDirectory, 'catalogue.sqlite'));
    const dead = new AbortController();
    const died = Promise.withResolvers<void>();
    const watched = watchStore(
      inner,
      (written) => options.onWritten(written),
      () => {
        dead.abort(new Error('the controller is dead'));
        bury();
        died.resolve();
      },
    );
    const controller = await startController(config, watched.store, clock.of(dead.signal, 'controller'), log);
    const client = new AdminServiceClient(controller.address, grpcChannelCredentials(certificates.admin));
    const stop = async () => {
      client.close();
      await controller.stop();
      await inner.close();
    };
    life = { watched, address: controller.address, client, api: promised(client), dead: died.promise, stop };
    options.onStart();
  }

  function bury(): void {
    const gone = life;
    life = undefined;
    options.onDeath();
    // Not within the transaction that it died at: its end is waited for.
    if (gone !== undefined) buried = Promise.resolve().then(() => gone.stop());
  }

  return {
    address: () => life?.address,
    alive: () => life !== undefined,
    start,
    kill: () => life?.watched.kill(),
    killAt: (write, durable) => life?.watched.killAt(write, durable),
    async call<T>(ask: (api: AdminApi) => Promise<T>) {
      for (;;) {
        await start();
        const now = life;
        if (now === undefined) continue;
        const asked = ask(now.api).catch((error: unknown) => error as ServiceError);
        const answer = await Promise.race([asked, now.dead.then(() => undefined)]);
        if (life !== now || answer === undefined) continue;
        return answer;
      }
    },
    async [Symbol.asyncDispose]() {
      life?.watched.kill();
      await buried;
    },
  };
}

export function isRefusal(answer: unknown): answer is ServiceError {
  return answer instanceof Error && 'code' in answer;
}

export function codeOf(answer: unknown): string {
  return isRefusal(answer) ? (status[answer.code] ?? String(answer.code)) : 'OK';
}
