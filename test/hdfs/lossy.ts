/** Stands between a client and a server, and loses answers to what it has passed on: what only an unlucky network does. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Lossy extends AsyncDisposable {
  readonly address: string;
  /** Of the next answer nothing comes through. */
  loseNext(): void;
}

export async function startLossy(port: number): Promise<Lossy> {
  let lose = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const onward = connect(port, '127.0.0.1');
    for (const socket of [client, onward]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => [client, onward].forEach((each) => each.destroy()));
    }
    client.pipe(onward);
    onward.on('data', (bytes) => {
      if (!lose) return void client.write(bytes);
      lose = false;
      return void client.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseNext: () => void (lose = true),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
