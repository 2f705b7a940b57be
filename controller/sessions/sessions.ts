/**
 * The lines of the agents: each dials, says Hello, is welcomed, and is then told what to do. This knows who is connected and
 * what each last said of itself; what it means for runs is the engine's.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type {
  AgentServiceServer,
  Assign,
  Finished,
  Hello,
  LogReport,
  ProgressReport,
  SessionRequest,
  SessionResponse,
  Welcome,
} from '#common/gen/holdfast/v1/agent.ts';
import type { Logger } from '#common/log.ts';
import { requirePeer, statusOf } from '../api/answer.ts';
import type { KnownAgent } from '../model.ts';
import { strangerOf } from './agent-facts.ts';
import type { AgentFacts } from './agent-facts.ts';

type Stream = ServerDuplexStream<SessionRequest, SessionResponse>;

/** The stream of an agent, and what was said on it. */
interface Line {
  readonly stream: Stream;
  /** Assignments that the agent has, by its Hello or by what it was told since, and has not finished. */
  readonly knows: Set<string>;
  readonly cancelled: Set<string>;
}

/** What the engine makes of what agents say. Called one after another for each agent, in the order of its words. */
export interface SessionEvents {
  hello(hello: Hello): Promise<Welcome>;
  /** The Welcome is on its way: what the agent lacks may follow. */
  welcomed(): void;
  /** Resolves when it is recorded: then the agent may forget it. */
  finished(node: string, finished: Finished): Promise<void>;
  progress(node: string, report: ProgressReport): void;
  log(node: string, report: LogReport): Promise<void>;
}

export interface Sessions {
  readonly service: AgentServiceServer;
  facts(): readonly AgentFacts[];
  factsOf(node: string): AgentFacts | undefined;
  /** Agents that were heard of before this controller's time: known, and not connected as long as they have not come. */
  recall(agents: readonly KnownAgent[]): void;
  /** Nobody misses it any more, unless it is connected. */
  forget(node: string): void;
  /** What the agent has to do or does, as far as it and we have said on this line. Empty when it is not connected. */
  knownTo(node: string): ReadonlySet<string>;
  /** Nothing happens when the agent is not there, or knows it: whoever looks at `knownTo` makes up for it. */
  assign(node: string, assign: Assign): void;
  /** Told once a line, and only what the agent knows. */
  cancel(node: string, assignmentId: string, reason: string): void;
  /** Ends every line, saying why; agents keep what they do and dial again. */
  stop(why: AppError): void;
}

export function createSessions(events: SessionEvents, clock: Clock, log: Logger): Sessions {
  const lines = new Map<string, Line>();
  const known = new Map<string, AgentFacts>();
  let stopped: AppError | undefined;

  const note = (node: string, facts: Partial<AgentFacts>) => {
    const before = known.get(node) ?? strangerOf(node);
    const [lastSeenMs, lastHeard] = [clock.now(), clock.monotonic()];
    const host = 'host' in facts ? { lastHeardHostMs: lastSeenMs, lastHeardHost: lastHeard } : {};
    known.set(node, { ...before, ...facts, ...host, lastSeenMs, lastHeard });
  };

  async function greet(stream: Stream, name: string, message: SessionRequest['message']): Promise<void> {
    if (message?.$case !== 'hello') throw new AppError('INVALID', `the agent of ${name} did not begin with Hello`);
    const hello = message.value;
    if (hello.node !== name) {
      throw new AppError('FORBIDDEN', `the certificate of ${name} does not speak for the node ${hello.node}`, {
        hint: 'Set `node` in agent.yaml to the name of the certificate.',
      });
    }
    const welcome = await events.hello(hello);
    if (stream.cancelled) return;
    // Its reign has ended meanwhile: a line that is welcomed now would hang on it.
    if (stopped !== undefined) throw stopped;
    // A newer line of the same agent takes over: the old one is half open at best.
    lines.get(name)?.stream.end();
    // One that ended while Hello was being made may be in both: it is acknowledged, and never spoken of again.
    const ended = new Set(hello.finished.map(({ assignmentId }) => assignmentId));
    const knows = new Set(hello.running.filter((id) => !ended.has(id)));
    lines.set(name, { stream, knows, cancelled: new Set(welcome.cancel) });
    const { version, sources, host, vault } = hello;
    const certificateEndsMs = hello.certificateEndsMs === 0n ? undefined : Number(hello.certificateEndsMs);
    note(name, { connected: true, version, sources, host, vault, certificateEndsMs });
    stream.write({ message: { $case: 'welcome', value: welcome } });
    log.info({ node: name, version, sources, vault: vault?.url }, 'agent connected');
    events.welcomed();
  }

  async function hear(stream: Stream, name: string, message: SessionRequest['message']): Promise<void> {
    const line = lines.get(name);
    // What an old line still says was said again, or will be, on the new one.
    if (line?.stream !== stream) return;
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
        // Not before it is recorded: what an agent does not know is told to it.
        line.knows.delete(message.value.assignmentId);
        stream.write({ message: { $case: 'ack', value: { assignmentId: message.value.assignmentId } } });
        return;
      case 'hello':
        throw new AppError('INVALID', `the agent of ${name} said Hello twice`);
      case undefined:
        log.warn({ node: name }, 'a message of a newer agent was ignored');
    }
  }

  function session(stream: Stream): void {
    let name = '';
    let greeted = false;
    let refused = false;
    const leave = () => {
      if (lines.get(name)?.stream !== stream) return;
      lines.delete(name);
      const before = known.get(name);
      if (before !== undefined) known.set(name, { ...before, connected: false });
      log.warn({ node: name }, 'agent disconnected');
    };
    const refuse = (caught: unknown) => {
      refused = true;
      const error = toAppError(caught, `session of ${name || 'an agent'}`);
      log.warn({ node: name, code: error.code, err: error }, 'a session was ended');
      leave();
      stream.emit('error', statusOf(error));
    };
    stream.on('cancelled', leave);
    stream.on('error', leave);
    stream.on('close', leave);
    stream.on('end', () => {
      leave();
      stream.end();
    });
    try {
      if (stopped !== undefined) throw stopped;
      name = requirePeer(stream, 'agent', 'AgentService').name;
    } catch (error) {
      return refuse(error);
    }
    async function take(message: SessionRequest['message']): Promise<void> {
      try {
        if (greeted) return await hear(stream, name, message);
        await greet(stream, name, message);
        greeted = true;
      } catch (error) {
        refuse(error);
      }
    }
    stream.on('data', ({ message }: SessionRequest) => {
      if (refused) return;
      // Lines that were greeted have been ended; one that says Hello only now has not.
      if (stopped !== undefined) return greeted ? undefined : refuse(stopped);
      // One after another, and no faster than they are recorded: the agent's side of the line waits, not our memory.
      stream.pause();
      void take(message).finally(() => stream.resume());
    });
  }

  return {
    service: { session },
    facts: () => [...known.values()].toSorted((a, b) => (a.node < b.node ? -1 : 1)),
    factsOf: (node) => known.get(node),
    recall(agents) {
      for (const { node, sources, version, certificateEndsMs, lastSeenMs } of agents) {
        if (!known.has(node)) known.set(node, { ...strangerOf(node), sources, version, certificateEndsMs, lastSeenMs });
      }
    },
    forget(node) {
      if (!lines.has(node)) known.delete(node);
    },
    knownTo: (node) => lines.get(node)?.knows ?? new Set(),
    assign(node, assign) {
      const line = lines.get(node);
      if (line === undefined || line.knows.has(assign.assignmentId)) return;
      line.knows.add(assign.assignmentId);
      line.stream.write({ message: { $case: 'assign', value: assign } });
    },
    cancel(node, assignmentId, reason) {
      const line = lines.get(node);
      if (line === undefined || !line.knows.has(assignmentId) || line.cancelled.has(assignmentId)) return;
      line.cancelled.add(assignmentId);
      line.stream.write({ message: { $case: 'cancel', value: { assignmentId, reason } } });
    },
    stop(why) {
      stopped = why;
      for (const { stream } of lines.values()) stream.emit('error', statusOf(why));
    },
  };
}
