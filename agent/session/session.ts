/**
 * The line to the controller: dialled by the agent, again and again for as long as it lives. At each connection one Hello says
 * what this agent is, does and has finished; the Welcome answers what to cancel and what to forget. Runs go on while the line
 * is down.
 */
import { Metadata, credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '#common/clock.ts';
import { toAppError } from '#common/errors.ts';
import { AgentServiceClient } from '#common/gen/holdfast/v1/agent.ts';
import type { Assign, Finished, Hello, SessionRequest, SessionResponse, VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import type { Logger } from '#common/log.ts';
import type { TlsFiles } from '#common/tls.ts';

export interface SessionOptions {
  readonly address: string;
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly log: Logger;
  /** What this agent is, does and has finished, at this moment. */
  hello(): Promise<Hello>;
  /** What has finished and is not acknowledged. */
  unacknowledged(): Promise<Finished[]>;
  heartbeat(): Promise<{ host: HostFacts; vault: VaultFacts | undefined; running: string[] }>;
  onAssign(assign: Assign): Promise<void>;
  onCancel(assignmentId: string, reason: string): void;
  onAcknowledged(assignmentId: string): Promise<void>;
}

type Call = ClientDuplexStream<SessionRequest, SessionResponse>;
type Outgoing = NonNullable<SessionRequest['message']>;

export interface Session {
  /** Dropped when the line is down or full: the next one tells more. */
  hint(message: Extract<Outgoing, { $case: 'progress' }>): void;
  /** Dropped when the line is down: the log of the run on this side has it. */
  log(message: Extract<Outgoing, { $case: 'log' }>): void;
  /** Journaled by the caller: told again with the next Hello until acknowledged. */
  finished(finished: Finished): void;
  stop(): Promise<void>;
}

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;
/** Two missed answers to a ping and the line counts as cut, so that a vanished controller is noticed without its farewell. */
const KEEPALIVE_MS = 10_000;

export function openSession(options: SessionOptions): Session {
  const stopping = new AbortController();
  let call: Call | undefined;
  let full = false;

  const send = (message: Outgoing): void => {
    if (call === undefined) return;
    full = !call.write({ message });
  };

  async function connect(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!stopping.signal.aborted) {
      const welcomed = await converse().catch((error: unknown) => {
        options.log.warn(
          { controller: options.address, reason: toAppError(error, 'session').message },
          'no line to the controller',
        );
        return false;
      });
      if (stopping.signal.aborted) return;
      retryMs = welcomed ? FIRST_RETRY_MS : Math.min(retryMs * 2, LONGEST_RETRY_MS);
      await options.clock.sleep(retryMs, stopping.signal).catch(() => undefined);
    }
  }

  /** One connection, from Hello to its end. Tells whether it was welcomed. */
  async function converse(): Promise<boolean> {
    const client = dial(options);
    const ended = new AbortController();
    const onStop = () => ended.abort();
    stopping.signal.addEventListener('abort', onStop, { once: true });
    let beating: Promise<void> | undefined;
    try {
      const hello = await options.hello();
      const line: Call = client.session(new Metadata());
      // The loop below tells of it; before it has begun, nobody would listen and the process would end.
      line.on('error', () => undefined);
      ended.signal.addEventListener('abort', () => line.cancel(), { once: true });
      line.on('drain', () => (full = false));
      line.write({ message: { $case: 'hello', value: hello } });
      for await (const { message } of line as AsyncIterable<SessionResponse>) {
        if (message?.$case === 'welcome') {
          call = line;
          options.log.info(
            { controller: options.address, version: message.value.controllerVersion },
            'session with the controller',
          );
          beating ??= beat(Math.max(1, message.value.heartbeatSeconds) * 1000, ended.signal);
        }
        await handle(message);
        // What finished while Hello was being made is in neither; told twice is harmless, never told is not.
        if (message?.$case === 'welcome') for (const value of await options.unacknowledged()) send({ $case: 'finished', value });
      }
      return beating !== undefined;
    } finally {
      call = undefined;
      ended.abort();
      stopping.signal.removeEventListener('abort', onStop);
      await beating;
      client.close();
    }
  }

  async function handle(message: SessionResponse['message']): Promise<void> {
    switch (message?.$case) {
      case 'welcome':
        for (const id of message.value.cancel) options.onCancel(id, 'the controller has given this assignment up');
        for (const id of message.value.acknowledged) await options.onAcknowledged(id);
        return;
      case 'assign':
        return options.onAssign(message.value);
      case 'cancel':
        return options.onCancel(message.value.assignmentId, message.value.reason);
      case 'ack':
        return options.onAcknowledged(message.value.assignmentId);
      case undefined:
        options.log.warn('a message of a newer controller was ignored');
    }
  }

  async function beat(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        send({ $case: 'heartbeat', value: await options.heartbeat() });
      } catch (error) {
        options.log.warn({ reason: toAppError(error, 'heartbeat').message }, 'facts of this node could not be read');
      }
      await options.clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  const connected = connect();
  return {
    hint(message) {
      if (!full) send(message);
    },
    log: send,
    finished: (value) => send({ $case: 'finished', value }),
    async stop() {
      stopping.abort();
      await connected;
    },
  };
}

function dial(options: SessionOptions): AgentServiceClient {
  const { ca, cert, key } = options.tls;
  return new AgentServiceClient(options.address, credentials.createSsl(ca, key, cert), {
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.enable_retries': 0,
    // A client of its own for each connection: no cached, half-dead channel is ever taken up again.
    'grpc.use_local_subchannel_pool': 1,
  });
}
