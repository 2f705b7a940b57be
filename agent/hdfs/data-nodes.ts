/** Calls to DataNodes, which have the bytes. A NameNode names one by a redirection, which is never followed by itself: a body would be lost. */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { request } from 'undici';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { boundedText, PATIENCE_MS, SILENCE_MS, unreachable } from './call.ts';
import type { Call, Caller } from './call.ts';
import { remoteError } from './remote-error.ts';
import { createReplicas } from './replicas.ts';
import type { Replicas } from './replicas.ts';
import { parseAnswer } from './status.ts';
import type { WebHdfsSettings } from './webhdfs.ts';

export interface Answer {
  /** `host:port` of the DataNode. */
  readonly from: string;
  readonly body: Dispatcher.ResponseData['body'];
  /** What the DataNode says it is going to send; undefined: it does not say. */
  readonly length: bigint | undefined;
}

export interface DataNodes extends Disposable {
  /** Whom to ask for a file. */
  replicas(path: string, doing: string, signal: AbortSignal): Replicas;
  /**
   * Asks one DataNode after another. Who takes the answer destroys its body, or reads it to its end.
   * @param at The byte that is asked for first.
   * @param check Throws what an answer lacks.
   */
  fetch(call: Call, replicas: Replicas, at: bigint, signal: AbortSignal, check?: (answer: Answer) => void): Promise<Answer>;
  /** Sent once. An error of `bytes` is what it rejects with. */
  send(call: Call, bytes: Readable | Uint8Array, signal: AbortSignal): Promise<void>;
}

const located = z.object({ Location: z.url() });
/** A page of an error. */
const FAULT_LIMIT = 1024 * 1024;

export function createDataNodes(
  caller: Caller,
  { connections, silenceMs = SILENCE_MS, patienceMs = PATIENCE_MS }: WebHdfsSettings,
  dispatcher: Dispatcher,
  clock: Clock,
): DataNodes {
  /** By `node:http`: a DataNode says "100 Continue" unasked, and undici takes that for a broken answer. */
  const writing = new HttpAgent({ maxSockets: connections });

  async function locate(call: Call, without: ReadonlySet<string>, signal: AbortSignal): Promise<URL> {
    const parameters = {
      ...call.parameters,
      noredirect: true,
      ...(without.size > 0 && { excludedatanodes: [...without].join(',') }),
    };
    const answer = await caller.ask({ ...call, parameters }, signal);
    return new URL(parseAnswer(located, answer, call.doing).Location);
  }

  async function get(url: URL, doing: string, signal: AbortSignal): Promise<Answer> {
    try {
      const { statusCode, headers, body } = await request(url, { method: 'GET', dispatcher, signal });
      if (statusCode >= 300) throw remoteError(statusCode, await boundedText(body, doing, FAULT_LIMIT), doing);
      // One that is destroyed before its end says so by an error, which nobody may be there to hear.
      body.on('error', () => undefined);
      const length = headers['content-length'];
      return { from: url.host, body, length: typeof length === 'string' ? BigInt(length) : undefined };
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof AppError ? error : unreachable(error, doing, url.host);
    }
  }

  return {
    replicas: (path, doing, signal) => createReplicas(caller, clock, { path, doing, patienceMs, signal }),

    async fetch(call, replicas, at, signal, check) {
      for (;;) {
        let from: string | undefined;
        try {
          const url = await locate(call, replicas.failed, signal);
          from = url.host;
          const answer = await get(url, call.doing, signal);
          try {
            check?.(answer);
            return answer;
          } catch (error) {
            answer.body.destroy();
            throw error;
          }
        } catch (error) {
          await replicas.bear(error, from, at);
        }
      }
    },

    async send(call, bytes, signal) {
      const { doing } = call;
      const url = await locate(call, new Set(), signal);
      const headers = { 'content-type': 'application/octet-stream' };
      const sending = httpRequest(url, { method: 'PUT', headers, signal, agent: writing });
      sending.setTimeout(silenceMs, () =>
        sending.destroy(
          new AppError('TIMEOUT', `${doing}: nothing came from where it is read, or went to ${url.host}, for ${silenceMs} ms`),
        ),
      );
      const source = bytes instanceof Readable ? bytes : Readable.from([bytes], { objectMode: false });
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
        if (source.errored) throw source.errored;
        throw error instanceof AppError ? error : unreachable(error, doing, url.host);
      } finally {
        sending.destroy();
      }
    },

    [Symbol.dispose]: () => writing.destroy(),
  };
}

function answerOf(sending: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sending.once('response', resolve);
    sending.on('error', reject);
  });
}
