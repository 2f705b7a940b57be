/**
 * The line to the controller: dialled by the agent, again and again for as long as it lives. At each connection one Hello says
 * what this agent is, does and has finished; the Welcome answers what to cancel and what to forget. Runs go on while the line
 * is down.
 */
import { Metadata } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { withTimeout } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { AgentServiceClient } from '#common/gen/holdfast/v1/agent.ts';
import type { Assign, Finished, Hello, SessionRequest, SessionResponse, VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import type { Logger } from '#common/log.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
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
  /** How long a controller may take to answer Hello. */
  readonly welcomeMs?: number;
}

type Call = ClientDuplexStream<SessionRequest, SessionResponse>;
type Outgoing = NonNullable<SessionRequest['message']>;

export interface Session {
  /** Dropped when the line is down or full: the next one tells more. */
  hint(message: Extract<Outgoing, { $case: 'progress' }>): void;
  /** Dropped when the line is down or hopelessly full: the log of the agent has it too. */
  log(message: Extract<Outgoing, { $case: 'log' }>): void;
  /** Journaled by the caller: told again with the next Hello until acknowledged. */
  finished(finished: Finished): void;
  /** Gives the controller a moment to acknowledge what it was told last, then hangs up. */
  stop(): Promise<void>;
}

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;
const WELCOME_MS = 30_000;
const FAREWELL_MS = 3000;
const LONGEST_HEARTBEAT_S = 3600;
/** Messages that may wait for a slow line; beyond it lines of logs are dropped. */
const QUEUE = 1000;
/** Two missed answers to a ping and the line counts as cut, so that a vanished controller is noticed without its farewell. */
const KEEPALIVE_MS = 10_000;

export function openSession(options: SessionOptions): Session {
  const stopping = new AbortController();
  /** Welcomed, and not ended. */
  let line: { readonly call: Call; readonly ended: AbortSignal } | undefined;
  let full = false;
  /** Told on some line and not acknowledged yet. */
  const unanswered = new Set<string>();
  let onAnswered: (() => void) | undefined;

  const send = (message: Outgoing): void => {
    if (line === undefined) return;
    if (message.$case === 'finished') unanswered.add(message.value.assignmentId);
    full = !line.call.write({ message });
  };

  async function connect(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!stopping.signal.aborted) {
      const welcomed = await converse().catch((error: unknown) => {
        if (stopping.signal.aborted) return false;
        const reason = toAppError(error, 'session').message;
        options.log.warn({ controller: options.address, reason }, 'no line to the controller');
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
    const until = AbortSignal.any([stopping.signal, ended.signal]);
    const unwelcome = withTimeout(options.welcomeMs ?? WELCOME_MS, until);
    let beating: Promise<void> | undefined;
    try {
      // Before the call is there: a stop or a hang in here must not leave one open.
      const hello = await unlessAborted(options.hello(), unwelcome);
      until.throwIfAborted();
      const call: Call = client.session(new Metadata());
      // The loop below tells of it; before it has begun, nobody would listen and the process would end.
      call.on('error', () => undefined);
      until.addEventListener('abort', () => call.cancel(), { once: true });
      const giveUp = () => {
        if (beating === undefined) call.destroy(new AppError('TIMEOUT', `${options.address} did not answer Hello in time`));
      };
      unwelcome.addEventListener('abort', giveUp, { once: true });
      call.on('drain', () => (full = false));
      call.write({ message: { $case: 'hello', value: hello } });
      for await (const { message } of call as AsyncIterable<SessionResponse>) {
        if (message?.$case === 'welcome') {
          const { controllerVersion: version, heartbeatSeconds } = message.value;
          line = { call, ended: until };
          options.log.info({ controller: options.address, version }, 'session with the controller');
          const seconds = Math.min(Math.max(1, heartbeatSeconds), LONGEST_HEARTBEAT_S);
          beating ??= beat(seconds * 1000, until);
        }
        await handle(message);
        // What finished while Hello was being made is in neither; told twice is harmless, never told is not.
        if (message?.$case === 'welcome') for (const value of await options.unacknowledged()) send({ $case: 'finished', value });
      }
      return beating !== undefined;
    } finally {
      line = undefined;
      ended.abort();
      await beating;
      client.close();
    }
  }

  async function handle(message: SessionResponse['message']): Promise<void> {
    switch (message?.$case) {
      case 'welcome':
        for (const id of message.value.cancel) options.onCancel(id, 'the controller has given this assignment up');
        for (const id of message.value.acknowledged) await acknowledged(id);
        return;
      case 'assign':
        return options.onAssign(message.value);
      case 'cancel':
        return options.onCancel(message.value.assignmentId, message.value.reason);
      case 'ack':
        return acknowledged(message.value.assignmentId);
      case undefined:
        options.log.warn('a message of a newer controller was ignored');
    }
  }

  async function acknowledged(assignmentId: string): Promise<void> {
    await options.onAcknowledged(assignmentId);
    unanswered.delete(assignmentId);
    if (unanswered.size === 0) onAnswered?.();
  }

  async function beat(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        send({ $case: 'heartbeat', value: await unlessAborted(options.heartbeat(), signal) });
      } catch (error) {
        if (signal.aborted) return;
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
    log(message) {
      if ((line?.call.writableLength ?? 0) < QUEUE) send(message);
    },
    finished: (value) => send({ $case: 'finished', value }),
    async stop() {
      if (line !== undefined && unanswered.size > 0) {
        const answered = new Promise<void>((resolve) => (onAnswered = resolve));
        await unlessAborted(answered, withTimeout(FAREWELL_MS, line.ended)).catch(() => undefined);
      }
      stopping.abort();
      await connected;
    },
  };
}

/** What hangs is left alone: it must hold up neither the line nor a stop. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function dial(options: SessionOptions): AgentServiceClient {
  return new AgentServiceClient(options.address, grpcChannelCredentials(options.tls), {
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.enable_retries': 0,
    // A client of its own for each connection: no cached, half-dead channel is ever taken up again.
    'grpc.use_local_subchannel_pool': 1,
  });
}
