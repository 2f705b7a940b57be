/**
 * The lines of the agents: each dials, says Hello, is welcomed, and is then told what to do. This knows who is connected and
 * what each last said of itself; what it means for runs is the engine's.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type {
  AgentServiceServer,
  Finished,
  Hello,
  LogReport,
  ProgressReport,
  SessionRequest,
  SessionResponse,
  VaultFacts,
  Welcome,
} from '#common/gen/holdfast/v1/agent.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import type { Logger } from '#common/log.ts';
import { requirePeer, statusOf } from '../api/answer.ts';

type Line = ServerDuplexStream<SessionRequest, SessionResponse>;
export type ToAgent = NonNullable<SessionResponse['message']>;

/** What the engine makes of what agents say. Called one after another for each agent, in the order of its words. */
export interface SessionEvents {
  hello(hello: Hello): Promise<Welcome>;
  /** The Welcome is on its way: what the agent lacks may follow. */
  welcomed(node: string): Promise<void>;
  /** Resolves when it is recorded: then the agent may forget it. */
  finished(node: string, finished: Finished): Promise<void>;
  progress(node: string, report: ProgressReport): void;
  log(node: string, report: LogReport): Promise<void>;
}

/** What an agent last said of itself. */
export interface AgentFacts {
  readonly node: string;
  readonly connected: boolean;
  readonly version: string;
  readonly sources: readonly string[];
  readonly host: HostFacts | undefined;
  readonly vault: VaultFacts | undefined;
  readonly lastSeenMs: number;
  /** The same on the monotonic clock, for the lease. */
  readonly lastHeard: number;
}

export interface Sessions {
  readonly service: AgentServiceServer;
  facts(): readonly AgentFacts[];
  factsOf(node: string): AgentFacts | undefined;
  /** False when the agent is not there: the next Hello makes up for it. */
  send(node: string, message: ToAgent): boolean;
  /** Ends every line; agents keep what they do and dial again. */
  stop(): void;
}

export function createSessions(events: SessionEvents, clock: Clock, log: Logger): Sessions {
  const lines = new Map<string, Line>();
  const known = new Map<string, AgentFacts>();
  let stopped = false;

  const note = (node: string, facts: Partial<AgentFacts>) => {
    const before = known.get(node) ?? {
      node,
      connected: false,
      version: '',
      sources: [],
      host: undefined,
      vault: undefined,
      lastSeenMs: 0,
      lastHeard: 0,
    };
    known.set(node, { ...before, ...facts, lastSeenMs: clock.now(), lastHeard: clock.monotonic() });
  };

  async function greet(line: Line, name: string, message: SessionRequest['message']): Promise<void> {
    if (message?.$case !== 'hello') throw new AppError('INVALID', `the agent of ${name} did not begin with Hello`);
    const hello = message.value;
    if (hello.node !== name) {
      throw new AppError('FORBIDDEN', `the certificate of ${name} does not speak for the node ${hello.node}`, {
        hint: 'Set `node` in agent.yaml to the name of the certificate.',
      });
    }
    const welcome = await events.hello(hello);
    if (line.cancelled) return;
    // A newer line of the same agent takes over: the old one is half open at best.
    lines.get(name)?.end();
    lines.set(name, line);
    const { version, sources, host, vault } = hello;
    note(name, { connected: true, version, sources, host, vault });
    line.write({ message: { $case: 'welcome', value: welcome } });
    log.info({ node: name, version, sources, vault: vault?.url }, 'agent connected');
    await events.welcomed(name);
  }

  async function hear(line: Line, name: string, message: SessionRequest['message']): Promise<void> {
    // What an old line still says was said again, or will be, on the new one.
    if (lines.get(name) !== line) return;
    note(name, {});
    switch (message?.$case) {
      case 'heartbeat': {
        const { host, vault } = message.value;
        return note(name, { host, vault });
      }
      case 'progress':
        return events.progress(name, message.value);
      case 'log':
        return events.log(name, message.value);
      case 'finished':
        await events.finished(name, message.value);
        line.write({ message: { $case: 'ack', value: { assignmentId: message.value.assignmentId } } });
        return;
      case 'hello':
        throw new AppError('INVALID', `the agent of ${name} said Hello twice`);
      case undefined:
        log.warn({ node: name }, 'a message of a newer agent was ignored');
    }
  }

  function session(line: Line): void {
    let name = '';
    let greeted = false;
    let chain: Promise<void> = Promise.resolve();
    const leave = () => {
      if (name === '' || lines.get(name) !== line) return;
      lines.delete(name);
      const before = known.get(name);
      if (before !== undefined) known.set(name, { ...before, connected: false });
      log.warn({ node: name }, 'agent disconnected');
    };
    const refuse = (caught: unknown) => {
      const error = toAppError(caught, `session of ${name || 'an agent'}`);
      log.warn({ node: name, code: error.code, err: error }, 'a session was ended');
      leave();
      line.emit('error', statusOf(error));
    };
    line.on('cancelled', leave);
    line.on('error', leave);
    line.on('close', leave);
    line.on('end', () => {
      leave();
      line.end();
    });
    try {
      if (stopped) throw new AppError('UNAVAILABLE', 'the controller is stopping');
      name = requirePeer(line, 'agent', 'AgentService').name;
    } catch (error) {
      return refuse(error);
    }
    let refused = false;
    async function afterThat(before: Promise<void>, message: SessionRequest['message']): Promise<void> {
      await before;
      if (refused || stopped) return;
      try {
        if (greeted) return await hear(line, name, message);
        await greet(line, name, message);
        greeted = true;
      } catch (error) {
        refused = true;
        refuse(error);
      }
    }
    line.on('data', ({ message }: SessionRequest) => {
      // One after another: what an agent says of an assignment has an order.
      chain = afterThat(chain, message);
    });
  }

  return {
    service: { session },
    facts: () => [...known.values()].toSorted((a, b) => (a.node < b.node ? -1 : 1)),
    factsOf: (node) => known.get(node),
    send(node, message) {
      const line = lines.get(node);
      if (line === undefined) return false;
      line.write({ message });
      return true;
    },
    stop() {
      stopped = true;
      for (const line of lines.values()) line.end();
    },
  };
}
