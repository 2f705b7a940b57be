/**
 * The line to the controller that leads: dialled by the agent, again and again for as long as it lives. At each connection one Hello
 * says what this agent is, does and has finished; the Welcome answers what to cancel and what to forget. Runs go on while the line
 * is down.
 */
import { Metadata } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { withTimeout } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { faultIn } from '#common/fault-trailer.ts';
import { AgentServiceClient } from '#common/gen/holdfast/v1/agent.ts';
import type { Assign, Finished, Hello, SessionRequest, SessionResponse, VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import type { Logger } from '#common/log.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';
import { planItinerary } from './itinerary.ts';
import type { End } from './itinerary.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface SessionOptions {
  /** host:port of each controller. */
  readonly addresses: readonly string[];
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly log: Logger;
  /** What this agent is, does and has finished, at this moment. */
  hello(): Promise<Hello>;
  /** What has finished and is not acknowledged. */
  unacknowledged(): Promise<Finished[]>;
  heartbeat(): Promise<{ host: HostFacts; vault: VaultFacts | undefined }>;
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

const WELCOME_MS = 30_000;
/** Where another controller may have taken over from one that hangs. */
const WELCOME_OF_MANY_MS = 8000;
const FAREWELL_MS = 3000;
const LONGEST_HEARTBEAT_S = 3600;
/** Messages that may wait for a slow line; beyond it lines of logs are dropped. */
const QUEUE = 1000;
/** Two missed answers to a ping and the line counts as cut, so that a vanished controller is noticed without its farewell. */
const KEEPALIVE_MS = 10_000;
/** Where another controller may have taken over: within the time that the takeover itself takes. */
const KEEPALIVE_OF_MANY_MS = 3000;

export function openSession(options: SessionOptions): Session {
  const { welcomeMs = options.addresses.length > 1 ? WELCOME_OF_MANY_MS : WELCOME_MS } = options;
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
    const itinerary = planItinerary(options.addresses);
    while (!stopping.signal.aborted) {
      const address = itinerary.next();
      const end = await converse(address);
      if (stopping.signal.aborted) return;
      if (end.error !== undefined) {
        options.log.warn({ controller: address, reason: end.error.message }, 'no line to the controller');
      }
      await options.clock.sleep(itinerary.pauseAfter(end), stopping.signal).catch(() => undefined);
    }
  }

  /** One connection, from Hello to its end. */
  async function converse(address: string): Promise<End> {
    let welcomed = false;
    try {
      await talk(address, () => (welcomed = true));
      return { welcomed };
    } catch (caught) {
      return { welcomed, error: faultIn(caught) ?? toAppError(caught, 'session') };
    }
  }

  async function talk(address: string, onWelcome: () => void): Promise<void> {
    const client = dial(address, options);
    const ended = new AbortController();
    const until = AbortSignal.any([stopping.signal, ended.signal]);
    const unwelcome = withTimeout(welcomeMs, until);
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
        if (beating === undefined) call.destroy(new AppError('TIMEOUT', `${address} did not answer Hello in time`));
      };
      unwelcome.addEventListener('abort', giveUp, { once: true });
      call.on('drain', () => (full = false));
      call.write({ message: { $case: 'hello', value: hello } });
      for await (const { message } of call as AsyncIterable<SessionResponse>) {
        if (message?.$case === 'welcome') {
          const { controllerVersion: version, heartbeatSeconds } = message.value;
          line = { call, ended: until };
          onWelcome();
          options.log.info({ controller: address, version }, 'session with the controller');
          const seconds = Math.min(Math.max(1, heartbeatSeconds), LONGEST_HEARTBEAT_S);
          beating ??= beat(seconds * 1000, until);
        }
        await handle(message);
        // What finished while Hello was being made is in neither; told twice is harmless, never told is not.
        if (message?.$case === 'welcome') for (const value of await options.unacknowledged()) send({ $case: 'finished', value });
      }
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

function dial(address: string, { addresses, tls }: SessionOptions): AgentServiceClient {
  const keepalive = addresses.length > 1 ? KEEPALIVE_OF_MANY_MS : KEEPALIVE_MS;
  return new AgentServiceClient(address, grpcChannelCredentials(tls), {
    'grpc.keepalive_time_ms': keepalive,
    'grpc.keepalive_timeout_ms': keepalive,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.enable_retries': 0,
    // A client of its own for each connection: no cached, half-dead channel is ever taken up again.
    'grpc.use_local_subchannel_pool': 1,
  });
}
