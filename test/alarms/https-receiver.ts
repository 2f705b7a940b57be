/** The peer of a webhook: an HTTPS server that keeps what it was sent, and answers what the test wants. */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

export interface ReceivedPost {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpsReceiver extends AsyncDisposable {
  readonly port: number;
  readonly posts: readonly ReceivedPost[];
  /** How many are open. */
  connections(): Promise<number>;
  /** Undefined: never answers. */
  answer: { readonly status: number; readonly body?: string } | undefined;
}

export async function startReceiver(tls: { certPem: string; keyPem: string }, port = 0): Promise<HttpsReceiver> {
  const posts: ReceivedPost[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    posts.push({ method: request.method, url: request.url, headers: request.headers, body: await text(request) });
    if (receiver.answer === undefined) return;
    response.writeHead(receiver.answer.status).end(receiver.answer.body ?? '');
  };
  const server = createServer({ cert: tls.certPem, key: tls.keyPem }, (request, response) => void answer(request, response));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const receiver: HttpsReceiver = {
    port: address.port,
    posts,
    connections: promisify(server.getConnections.bind(server)),
    answer: { status: 200 },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return receiver;
}
