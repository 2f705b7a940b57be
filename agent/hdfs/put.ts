/** Bytes to a DataNode. By `node:http`: a DataNode says "100 Continue" unasked, and undici takes that for a broken answer. */
import { once } from 'node:events';
import { request } from 'node:http';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { withTimeout } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { boundedText, CONNECT_MS, FAULT_LIMIT, unreachable } from './call.ts';
import { remoteError } from './remote-error.ts';

/** Is connected, and has sent nothing yet. */
export interface Putting {
  /** @throws AppError what the DataNode refuses; the error of `bytes` when that is what failed. */
  send(bytes: Readable | Uint8Array): Promise<void>;
}

export async function connectTo(
  url: URL,
  agent: Agent,
  { doing, silenceMs }: { readonly doing: string; readonly silenceMs: number },
  signal: AbortSignal,
): Promise<Putting> {
  const headers = { 'content-type': 'application/octet-stream' };
  const sending = request(url, { method: 'PUT', headers, signal, agent });
  // Who waits hears of it otherwise.
  sending.on('error', () => undefined);
  let limited = signal;
  try {
    const [socket] = (await once(sending, 'socket', { signal })) as [Socket];
    limited = withTimeout(CONNECT_MS, signal);
    if (socket.connecting) await once(socket, 'connect', { signal: limited });
  } catch (error) {
    sending.destroy();
    signal.throwIfAborted();
    throw limited.aborted
      ? new AppError('TIMEOUT', `${doing}: ${url.host} takes no connection`)
      : unreachable(error, doing, url.host);
  }
  sending.setTimeout(silenceMs, () => {
    const message = `${doing}: nothing came from where it is read, or went to ${url.host}, for ${silenceMs} ms`;
    sending.destroy(new AppError('TIMEOUT', message));
  });
  return { send: (bytes) => send(sending, bytes, doing, url.host, signal) };
}

async function send(
  sending: ClientRequest,
  bytes: Readable | Uint8Array,
  doing: string,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  const source = bytes instanceof Readable ? bytes : Readable.from([bytes], { objectMode: false });
  // Who fails first; then the other one fails, too.
  const failed: ('source' | 'connection')[] = [];
  source.once('error', () => failed.push('source'));
  sending.once('error', () => failed.push('connection'));
  const answered = answerOf(sending);
  // That it breaks off is known from the request, which may have been answered before.
  const sent = pipeline(source, sending).catch(() => undefined);
  try {
    const answer = await answered;
    const text = await boundedText(answer, doing, FAULT_LIMIT);
    if (answer.statusCode !== 201) throw remoteError(answer.statusCode ?? 0, text, doing);
    await sent;
  } catch (error) {
    signal.throwIfAborted();
    if (failed[0] === 'source') throw source.errored;
    throw error instanceof AppError ? error : unreachable(error, doing, host);
  } finally {
    sending.destroy();
  }
}

function answerOf(sending: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sending.once('response', resolve);
    sending.once('error', reject);
  });
}
