/** The gRPC server: both services, health and reflection, over mTLS only. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Server } from '@grpc/grpc-js';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { systemClock } from '#common/clock.ts';
import { AdminServiceService } from '#common/gen/holdfast/v1/admin.ts';
import { AgentServiceService } from '#common/gen/holdfast/v1/agent.ts';
import type { AgentServiceServer } from '#common/gen/holdfast/v1/agent.ts';
import { listenError } from '#common/listen.ts';
import { grpcServerCredentials } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';

export interface ServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsFiles;
  readonly admin: UntypedServiceImplementation;
  readonly agent: AgentServiceServer;
}

export interface ApiServer {
  /** host:port */
  readonly address: string;
  /** Whether the services answer, as the health service tells. The server as a whole is well also when they refer to another controller. */
  serving(answers: boolean): void;
  /** Takes nothing new, lets what is under way end for a moment, then cuts it. */
  stop(): Promise<void>;
}

/** Nothing that people or agents send is larger; a larger request is refused with RESOURCE_EXHAUSTED before it is read. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** Two missed answers to a ping and the line counts as cut, so that a vanished agent is noticed without its farewell. */
const KEEPALIVE_MS = 10_000;
const FAREWELL_MS = 2000;

export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
    'grpc.keepalive_permit_without_calls': 1,
  });
  server.addService(AdminServiceService, options.admin);
  server.addService(AgentServiceService, options.agent);
  const services = ['holdfast.v1.AdminService', 'holdfast.v1.AgentService'];
  const health = new HealthImplementation({ '': 'SERVING' });
  const serving = (answers: boolean) => {
    for (const service of services) health.setStatus(service, answers ? 'SERVING' : 'NOT_SERVING');
  };
  serving(false);
  health.addToServer(server);
  reflection().addToServer(server);

  // The listener is ours: grpc-js would wait for ever for a peer that has vanished, or that has never said who it is, and lets nobody cut it.
  const http2 = server.createConnectionInjector(grpcServerCredentials(options.tls));
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    http2.injectConnection(socket);
  });
  const { host, port } = options.listen;
  listener.listen(port, host);
  await once(listener, 'listening').catch((error: unknown) => {
    throw listenError(error, options.listen, 'listen of controller.yaml');
  });
  const bound = (listener.address() as AddressInfo).port;
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound}`,
    serving,
    async stop() {
      health.setStatus('', 'NOT_SERVING');
      serving(false);
      const closed = once(listener, 'close');
      listener.close();
      const over = new AbortController();
      server.tryShutdown(() => over.abort());
      await systemClock.sleep(FAREWELL_MS, over.signal).catch(() => undefined);
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** From the .proto files themselves, so that what reflection tells is what the repository says. */
function reflection(): ReflectionService {
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const files = ['types', 'agent', 'admin'].map((file) => `holdfast/v1/${file}.proto`);
  const includeDirs = [at('../../proto'), at('./health')];
  return new ReflectionService(loadSync([...files, 'grpc/health/v1/health.proto'], { includeDirs }));
}
