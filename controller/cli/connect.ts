/** The way to the controller: addresses and our certificate by client.yaml, then typed calls over mTLS. */
import { randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import type { MethodDefinition, ServiceError } from '@grpc/grpc-js';
import { z } from 'zod';
import { readConfig } from '#common/config-file.ts';
import { AppError } from '#common/errors.ts';
import { loadCredentials } from '#common/tls.ts';
import { fromCall } from './errors.ts';
import { Leader } from './leader.ts';
import type { Line } from './line.ts';
import type { Terminal } from './terminal.ts';

const address = z.string().regex(/^[^\s:]+:\d+$/, 'must be host:port');

const clientConfigSchema = z.strictObject({
  /** One, or each of two of which one leads. */
  controller: z.union([address, z.array(address).min(1)], { error: 'must be host:port, or a list of such' }),
  tls: z.strictObject({ ca: z.string().min(1), cert: z.string().min(1), key: z.string().min(1) }),
});

/** Answers come from the catalogue at once; a plan asks agents, for which the controller allows 2 minutes. */
const ANSWER_MS = 180_000;

export interface CallOptions {
  /** How long an answer may take; undefined: as long as it takes. */
  readonly deadlineMs?: number | undefined;
}

interface Page {
  readonly nextPageToken: string;
}

export interface Api {
  /** Of the controller that was asked last. */
  readonly address: string;
  /**
   * Asked of another controller again when one does not lead or goes: what changes something bears a request id, so it is done once.
   * @throws AppError with the controller's own message and hint
   */
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
  return new GrpcApi(new Leader([config.controller].flat(), files, terminal), terminal);
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
  readonly #leader: Leader;
  readonly #terminal: Terminal;

  constructor(leader: Leader, terminal: Terminal) {
    this.#leader = leader;
    this.#terminal = terminal;
  }

  get address(): string {
    return this.#leader.address;
  }

  call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CallOptions = { deadlineMs: ANSWER_MS },
  ): Promise<Response> {
    return this.#leader.ask((line) => this.#callOn(line, method, request, options));
  }

  async #callOn<Request, Response>(
    { client, address: from }: Line,
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CallOptions,
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
        const call = client.makeUnaryRequest(
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
      throw fromCall(error, from);
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
    // Who does not lead says so instead of a first message.
    const { messages, first } = await this.#leader.ask(async (line) => {
      const begun = streamOn(line, method, request, signal);
      return { messages: begun, first: await begun.next() };
    });
    try {
      if (first.done === true) return;
      yield first.value;
      yield* messages;
    } catch (error) {
      // Where it goes on, is asked anew.
      this.#leader.close();
      throw error;
    } finally {
      await messages.return(undefined);
    }
  }

  close(): void {
    this.#leader.close();
  }
}

async function* streamOn<Request, Response>(
  { client, address: from }: Line,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of call) yield message as Response;
  } catch (error) {
    signal.throwIfAborted();
    throw fromCall(error, from);
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
  // Cancelling ends the iteration like a normal end.
  signal.throwIfAborted();
}
