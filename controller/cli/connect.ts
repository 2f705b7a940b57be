/** The way to the controller: its address and our certificate by client.yaml, then typed calls over mTLS. */
import { randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Client, Metadata, connectivityState } from '@grpc/grpc-js';
import type { MethodDefinition, ServiceError } from '@grpc/grpc-js';
import { z } from 'zod';
import { readConfig } from '#common/config-file.ts';
import { AppError } from '#common/errors.ts';
import { grpcChannelCredentials, loadCredentials } from '#common/tls.ts';
import { fromCall } from './errors.ts';
import type { Terminal } from './terminal.ts';

const clientConfigSchema = z.strictObject({
  /** host:port */
  controller: z.string().regex(/^[^\s:]+:\d+$/, 'must be host:port'),
  tls: z.strictObject({ ca: z.string().min(1), cert: z.string().min(1), key: z.string().min(1) }),
});

/** Answers come from the catalogue at once; a plan asks agents, for which the controller allows 2 minutes. */
const ANSWER_MS = 180_000;
/** A host that takes connections and then says nothing. */
const CONNECT_MS = 10_000;

export interface CallOptions {
  /** How long an answer may take; undefined: as long as it takes. */
  readonly deadlineMs?: number | undefined;
}

interface Page {
  readonly nextPageToken: string;
}

export interface Api {
  readonly address: string;
  /** @throws AppError with the controller's own message and hint */
  call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: NoInfer<Request>,
    options?: CallOptions,
  ): Promise<Response>;
  /** All pages, one after another. */
  list<Request, Response extends Page, Item>(
    method: MethodDefinition<Request, Response>,
    request: (page: { pageSize: number; pageToken: string }) => NoInfer<Request>,
    items: (response: Response) => readonly Item[],
    limit?: number,
  ): Promise<Item[]>;
  /** @throws AppError; ends normally when the controller ends the stream */
  stream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: NoInfer<Request>,
    signal: AbortSignal,
  ): AsyncGenerator<Response>;
  close(): void;
}

/** `--config`, else HOLDFAST_CONFIG, else ~/.holdfast/client.yaml. @throws AppError naming what is missing */
export async function connect(terminal: Terminal, option: string | undefined): Promise<Api> {
  const path = await configPath(terminal, option);
  const config = await readConfig(path, clientConfigSchema);
  const at = (file: string) => resolve(dirname(path), file);
  const files = await loadCredentials({ ca: at(config.tls.ca), cert: at(config.tls.cert), key: at(config.tls.key) });
  const client = new Client(config.controller, grpcChannelCredentials(files), {
    // A half-dead line must not leave a person waiting for ever.
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.enable_retries': 0,
    'grpc.max_reconnect_backoff_ms': 2000,
  });
  try {
    await settled(client, config.controller, terminal);
  } catch (error) {
    client.close();
    throw error;
  }
  return new GrpcApi(client, config.controller, terminal);
}

/** Until the line stands or is refused; why it was refused, the first call says. */
async function settled(client: Client, address: string, { clock, signal }: Terminal): Promise<void> {
  const channel = client.getChannel();
  const deadline = clock.now() + CONNECT_MS;
  const changed = (from: connectivityState) =>
    new Promise<void>((done, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true });
      channel.watchConnectivityState(from, deadline, (error) => {
        if (error === undefined) return done();
        fail(
          new AppError('UNAVAILABLE', `reach the controller ${address}: no answer within ${CONNECT_MS / 1000} s`, {
            hint: 'Check that `holdfast controller` runs there and that client.yaml names its address.',
          }),
        );
      });
    });
  let state = channel.getConnectivityState(true);
  while (state === connectivityState.IDLE || state === connectivityState.CONNECTING) {
    await changed(state);
    state = channel.getConnectivityState(true);
  }
}

async function configPath(terminal: Terminal, option: string | undefined): Promise<string> {
  const named = option ?? terminal.env['HOLDFAST_CONFIG'];
  if (named !== undefined && named !== '') return named;
  const usual = join(terminal.env['HOME'] ?? homedir(), '.holdfast', 'client.yaml');
  try {
    await access(usual);
    return usual;
  } catch (error) {
    throw new AppError('NOT_FOUND', `find the client configuration: ${usual} cannot be read and none was named`, {
      cause: error,
      hint: 'Name the client.yaml that `holdfast init` made, by --config FILE or HOLDFAST_CONFIG, or copy its directory to ~/.holdfast.',
    });
  }
}

/** Of one mutation; sending it again with the same id returns the first answer. */
export function newRequestId(): string {
  return randomUUID();
}

class GrpcApi implements Api {
  readonly address: string;
  readonly #client: Client;
  readonly #terminal: Terminal;

  constructor(client: Client, address: string, terminal: Terminal) {
    this.#client = client;
    this.address = address;
    this.#terminal = terminal;
  }

  async call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CallOptions = { deadlineMs: ANSWER_MS },
  ): Promise<Response> {
    const { signal, clock } = this.#terminal;
    signal.throwIfAborted();
    try {
      return await new Promise<Response>((done, fail) => {
        const deadline = options.deadlineMs === undefined ? {} : { deadline: clock.now() + options.deadlineMs };
        const answered = (error: ServiceError | null, response?: Response) => {
          signal.removeEventListener('abort', cancel);
          if (error !== null) fail(error);
          else if (response === undefined) fail(new AppError('FAILED', `${method.path}: the answer is empty`));
          else done(response);
        };
        const { path, requestSerialize, responseDeserialize } = method;
        const call = this.#client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new Metadata(),
          deadline,
          answered,
        );
        const cancel = () => call.cancel();
        signal.addEventListener('abort', cancel, { once: true });
      });
    } catch (error) {
      signal.throwIfAborted();
      throw fromCall(error, this.address);
    }
  }

  async list<Request, Response extends Page, Item>(
    method: MethodDefinition<Request, Response>,
    request: (page: { pageSize: number; pageToken: string }) => Request,
    items: (response: Response) => readonly Item[],
    limit = Number.POSITIVE_INFINITY,
  ): Promise<Item[]> {
    const all: Item[] = [];
    let pageToken = '';
    do {
      const response = await this.call(method, request({ pageSize: Math.min(1000, limit - all.length), pageToken }));
      all.push(...items(response));
      pageToken = response.nextPageToken;
    } while (pageToken !== '' && all.length < limit);
    return all.slice(0, limit);
  }

  async *stream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): AsyncGenerator<Response> {
    const { path, requestSerialize, responseDeserialize } = method;
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of call) yield message as Response;
    } catch (error) {
      signal.throwIfAborted();
      throw fromCall(error, this.address);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
    // Cancelling ends the iteration like a normal end.
    signal.throwIfAborted();
  }

  close(): void {
    this.#client.close();
  }
}
