/** An AdminService with scripted answers over real mTLS, and the command line run against it in this process. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { Metadata, Server } from '@grpc/grpc-js';
import type { ServerUnaryCall, ServerWritableStream, UntypedServiceImplementation, sendUnaryData } from '@grpc/grpc-js';
import { systemClock } from '#common/clock.ts';
import { AppError, ERROR_CODES, toFault } from '#common/errors.ts';
import { AdminServiceService } from '#common/gen/holdfast/v1/admin.ts';
import { grpcServerCredentials } from '#common/tls.ts';
import { init } from '../../controller/cli/init.ts';
import { readLayout } from '../../controller/cli/init-layout.ts';
import { runCli } from '../../controller/cli/program.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export async function cli(
  args: readonly string[],
  env: Record<string, string> = {},
  signal: AbortSignal = new AbortController().signal,
  interactive = false,
): Promise<Outcome> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const status = await runCli(args, { out, err, interactive, env, clock: systemClock, signal });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { status, out: text(out), err: text(err) };
}

export type Answers = Record<string, (request: never) => unknown>;

export interface FakeController extends AsyncDisposable {
  readonly config: string;
  /** Requests as they came, by method. */
  readonly requests: Map<string, unknown[]>;
  answers: Answers;
  run(...args: readonly string[]): Promise<Outcome>;
  /** Dies, as a killed controller does, and comes back on the same port. */
  restart(): Promise<void>;
}

export function statusOf(error: AppError) {
  const metadata = new Metadata();
  metadata.set('holdfast-fault-bin', Buffer.from(JSON.stringify(toFault(error))));
  return Object.assign(new Error(error.message), { code: ERROR_CODES[error.code].grpc, details: error.message, metadata });
}

/** An answer is a value, an array of them for a stream, or throws. */
export async function startFake(): Promise<FakeController> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  const directory = join(root, 'made');
  const port = await freePort();
  await init(
    readLayout({ directory, controller: `127.0.0.1:${port}`, active: 'mn1', node: [], dataPath: root, days: '1' }),
    systemClock.now(),
  );
  const at = (name: string) => readFile(join(directory, 'controller', name));
  const files = { ca: await at('ca.crt'), cert: await at('controller.crt'), key: await at('controller.key') };
  const requests = new Map<string, unknown[]>();

  const listen = async () => {
    const server = new Server();
    server.addService(AdminServiceService, implementation());
    await promisify(server.bindAsync.bind(server))(`127.0.0.1:${port}`, grpcServerCredentials(files));
    return server;
  };
  const implementation = (): UntypedServiceImplementation =>
    Object.fromEntries(
      Object.entries(AdminServiceService).map(([name, { responseStream }]) => {
        const answer = async (request: unknown) => {
          requests.set(name, [...(requests.get(name) ?? []), request]);
          const scripted = fake.answers[name];
          if (scripted === undefined) throw new AppError('BUG', `the test scripted no answer for ${name}`);
          return scripted(request as never);
        };
        const failed = (error: unknown) => (error instanceof AppError ? statusOf(error) : (error as Error));
        if (responseStream) {
          return [
            name,
            (call: ServerWritableStream<unknown, unknown>) => {
              answer(call.request).then(
                (messages) => {
                  for (const message of messages as unknown[]) call.write(message);
                  return call.end();
                },
                (error: unknown) => call.emit('error', failed(error)),
              );
            },
          ];
        }
        return [
          name,
          (call: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<unknown>) => {
            answer(call.request).then(
              (response) => done(null, response),
              (error: unknown) => done(failed(error)),
            );
          },
        ];
      }),
    );

  const config = join(directory, 'admin', 'client.yaml');
  const fake: FakeController = {
    config,
    requests,
    answers: {},
    run: (...args) => cli(args, { HOLDFAST_CONFIG: config }),
    async restart() {
      server.forceShutdown();
      server = await listen();
    },
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await rm(root, { recursive: true, force: true });
    },
  };
  let server = await listen();
  return fake;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
