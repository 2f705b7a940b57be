/** The controller's side of the Session, as the test says: what agents say is kept, what they are answered is up to the test. */
import { Server } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { vi } from 'vitest';
import { AgentServiceService } from '#common/gen/holdfast/v1/agent.ts';
import type { Assign, Finished, SessionRequest, SessionResponse } from '#common/gen/holdfast/v1/agent.ts';
import { grpcServerCredentials } from '#common/tls.ts';
import type { PeerRole } from '#common/tls.ts';
import { certificateOf } from '../vault/test-vault.ts';

export type Line = ServerDuplexStream<SessionRequest, SessionResponse>;
type Said = NonNullable<SessionRequest['message']>;
type Kind = Said['$case'];

export interface Manners {
  readonly role?: PeerRole;
  readonly heartbeatSeconds?: number;
  /** Whether Hello is answered, and ends are acknowledged. */
  readonly welcomes?: boolean;
  readonly acknowledges?: boolean;
  /** Bytes for a message that are none. */
  readonly nonsense?: () => boolean;
}

export async function startScriptedController(manners: Manners = {}) {
  const lines: Line[] = [];
  const heard: Said[] = [];
  const tls = await certificateOf('controller', manners.role ?? 'controller');

  const server = new Server();
  const definition = {
    session: {
      ...AgentServiceService.session,
      responseSerialize: (value: SessionResponse) =>
        manners.nonsense?.() === true ? Buffer.from('ffffffffffff', 'hex') : AgentServiceService.session.responseSerialize(value),
    },
  };
  server.addService(definition, {
    session(line: Line) {
      lines.push(line);
      line.on('error', () => undefined);
      line.on('end', () => line.end());
      line.on('data', ({ message }: SessionRequest) => {
        if (message === undefined) return;
        heard.push(message);
        if (message.$case === 'hello' && manners.welcomes !== false) {
          const { heartbeatSeconds = 1 } = manners;
          say({ $case: 'welcome', value: { controllerVersion: '0.1.0', heartbeatSeconds, cancel: [], acknowledged: [] } });
        }
        if (message.$case === 'finished' && manners.acknowledges !== false) {
          say({ $case: 'ack', value: { assignmentId: message.value.assignmentId } });
        }
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpcServerCredentials(tls), (error, bound) => (error ? reject(error) : resolve(bound)));
  });

  const say = (message: NonNullable<SessionResponse['message']>) => void lines.at(-1)?.write({ message });
  const all = <K extends Kind>(kind: K) => heard.filter((said): said is Extract<Said, { $case: K }> => said.$case === kind);

  return {
    address: `127.0.0.1:${port}`,
    lines,
    say,
    all,
    assign: (value: Assign) => say({ $case: 'assign', value }),
    /** The n-th word of this kind, when it is said. */
    async hear<K extends Kind>(kind: K, n = 1) {
      return vi.waitUntil(() => all(kind)[n - 1], { timeout: 30_000, interval: 10 });
    },
    ends: (): Finished[] => all('finished').map(({ value }) => value),
    [Symbol.asyncDispose]: () => {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
}
