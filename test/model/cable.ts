/** The line of one agent to the controller: whole, cut (the peers see it at once) or stalled (nobody sees anything). */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export type CableState = 'whole' | 'cut' | 'stalled';

export interface Cable extends AsyncDisposable {
  /** host:port, for as long as the cable is there, whatever lies at its other end. */
  readonly address: string;
  state(): CableState;
  set(state: CableState): void;
  /** Ends every connection; new ones are taken. */
  reset(): void;
}

/** `target` is asked at each connection: a controller that was started again has another port. */
export async function layCable(target: () => string | undefined): Promise<Cable> {
  const sockets = new Set<Socket>();
  let state: CableState = 'whole';
  const keep = (socket: Socket, peer: Socket) => {
    sockets.add(socket);
    socket.on('data', (bytes) => peer.write(bytes));
    if (state === 'stalled') socket.pause();
    socket.on('error', () => peer.destroy());
    socket.once('close', () => {
      sockets.delete(socket);
      peer.destroy();
    });
  };
  const reset = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((agent) => {
    const [host, port] = (target() ?? '').split(':');
    if (state === 'cut' || port === undefined) return void agent.destroy();
    const controller = connect(Number(port), host);
    keep(agent, controller);
    keep(controller, agent);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    state: () => state,
    set(next) {
      state = next;
      if (next === 'cut') reset();
      else
        for (const socket of sockets)
          if (next === 'stalled') socket.pause();
          else socket.resume();
    },
    reset,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      reset();
      await closed;
    },
  };
}
