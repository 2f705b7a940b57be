/** Calls to DataNodes, which have the bytes. A NameNode names one by a redirection, which is never followed by itself: a body would be lost. */
import { lookup } from 'node:dns/promises';
import { Readable } from 'node:stream';
import { request } from 'undici';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { boundedText, FAULT_LIMIT, PATIENCE_MS, SILENCE_MS, unreachable } from './call.ts';
import type { Call, Caller } from './call.ts';
import { createCandidates } from './candidates.ts';
import type { Candidates } from './candidates.ts';
import { HearingAgent } from './hearing-agent.ts';
import { connectTo } from './put.ts';
import type { Putting } from './put.ts';
import { remoteError } from './remote-error.ts';
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
  /** Those that have a file, at the byte that `at` says. */
  holders(path: string, at: () => bigint, doing: string, signal: AbortSignal): Candidates;
  /**
   * Asks one after another. Who takes the answer destroys its body, or reads it to its end.
   * @param check Throws what an answer lacks.
   */
  fetch(call: Call, holders: Candidates, signal: AbortSignal, check?: (answer: Answer) => void): Promise<Answer>;
  /** Asks one after another until one is connected; the bytes are sent once. An error of `bytes` is what it rejects with. */
  send(call: Call, bytes: Readable | Uint8Array, signal: AbortSignal): Promise<void>;
}

const located = z.object({ Location: z.url() });
const blockLocations = z.object({
  LocatedBlocks: z.object({
    locatedBlocks: z.array(
      z.object({ locations: z.array(z.object({ name: z.string(), hostName: z.string(), infoPort: z.int() })) }),
    ),
  }),
});

export function createDataNodes(
  caller: Caller,
  { connections, silenceMs = SILENCE_MS, patienceMs = PATIENCE_MS }: WebHdfsSettings,
  dispatcher: Dispatcher,
  clock: Clock,
): DataNodes {
  const writing = new HearingAgent({ maxSockets: connections });

  /** The redirection names a host and a port of HTTP, by which HDFS knows nobody. */
  async function holderName(path: string, offset: bigint, from: string, doing: string, signal: AbortSignal) {
    const parameters = { offset, length: 1 };
    const answer = await caller.ask({ method: 'GET', op: 'GET_BLOCK_LOCATIONS', path, parameters, doing }, signal);
    return parseAnswer(blockLocations, answer, doing)
      .LocatedBlocks.locatedBlocks.flatMap(({ locations }) => locations)
      .find(({ hostName, infoPort }) => `${hostName}:${infoPort}` === from)?.name;
  }

  /** Of a file that is not yet there, HDFS has nothing to tell. */
  const addressOf = (from: string) =>
    lookup(new URL(`http://${from}`).hostname).then(
      ({ address }) => address,
      () => undefined,
    );

  async function locate(call: Call, { failed }: Candidates, signal: AbortSignal): Promise<URL> {
    const without = failed.size > 0 && { excludedatanodes: [...failed].join(',') };
    const answer = await caller.ask({ ...call, parameters: { ...call.parameters, noredirect: true, ...without } }, signal);
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

  /** What one of them answers to `ask`. */
  async function ofOne<T>(call: Call, candidates: Candidates, signal: AbortSignal, ask: (url: URL) => Promise<T>): Promise<T> {
    for (;;) {
      let from: string | undefined;
      try {
        const url = await locate(call, candidates, signal);
        from = url.host;
        return await ask(url);
      } catch (error) {
        await candidates.bear(error, from);
      }
    }
  }

  return {
    holders(path, at, doing, signal) {
      const nameOf = (from: string) => holderName(path, at(), from, doing, signal);
      return createCandidates(clock, { doing, patienceMs, nameOf }, signal);
    },

    fetch: (call, holders, signal, check) =>
      ofOne(call, holders, signal, async (url) => {
        const answer = await get(url, call.doing, signal);
        try {
          check?.(answer);
          return answer;
        } catch (error) {
          answer.body.destroy();
          throw error;
        }
      }),

    async send(call, bytes, signal) {
      const takers = createCandidates(clock, { doing: call.doing, patienceMs, nameOf: addressOf }, signal);
      const putting = await ofOne<Putting>(call, takers, signal, (url) =>
        connectTo(url, writing, { doing: call.doing, silenceMs }, signal),
      );
      if (bytes instanceof Readable && bytes.errored) throw bytes.errored;
      await putting.send(bytes);
    },

    [Symbol.dispose]: () => writing.destroy(),
  };
}
