/**
 * One call to a NameNode: the address of the one that is active is found and remembered, and a fail-over is waited for. A call that changes
 * something may have been done although its answer was lost: who sent it is told when it is sent again.
 */
import { request } from 'undici';
import type { Dispatcher } from 'undici';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { exceptionName, isPassing, remoteError } from './remote-error.ts';
import type { WebHdfsSettings } from './webhdfs.ts';

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';
export type Parameters = Readonly<Record<string, string | number | bigint | boolean>>;

export interface Call {
  readonly method: Method;
  readonly op: string;
  readonly path: string;
  readonly parameters?: Parameters;
  /** What the call does, for messages: "list /data". */
  readonly doing: string;
  /** Told before it is sent again when it may have been done the first time: its answer was lost. */
  readonly onRepeat?: () => void;
}

export interface Caller {
  /** The answer, as JSON has it; undefined: none. */
  ask(call: Call, signal: AbortSignal): Promise<unknown>;
}

/** A page of a listing has some hundred KiB; nothing that is ours is larger than this. */
const ANSWER_LIMIT = 64 * 1024 * 1024;
/** A page of an error of a DataNode. */
export const FAULT_LIMIT = 1024 * 1024;
/** A server that is there takes a connection at once. */
export const CONNECT_MS = 10_000;
/** What WebHdfsSettings say when they do not. */
export const SILENCE_MS = 60_000;
export const PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

export function createCaller(settings: WebHdfsSettings, dispatcher: Dispatcher, clock: Clock): Caller {
  const { addresses, user, patienceMs = PATIENCE_MS } = settings;
  let active = 0;

  async function once(
    { method, op, path, parameters = {}, doing }: Call,
    address: string,
    signal: AbortSignal,
  ): Promise<unknown> {
    const query = new URLSearchParams({ op, 'user.name': user });
    for (const [name, value] of Object.entries(parameters)) query.set(name, String(value));
    const url = `http://${address}/webhdfs/v1${encodePath(path)}?${query.toString()}`;
    let answer: Dispatcher.ResponseData;
    let text: string;
    try {
      answer = await request(url, { method, dispatcher, signal });
      text = await boundedText(answer.body, doing);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof AppError ? error : unreachable(error, doing, address);
    }
    if (answer.statusCode >= 300) throw remoteError(answer.statusCode, text, doing);
    return text === '' ? undefined : parseJson(text, doing, address);
  }

  return {
    async ask(call, signal) {
      const since = clock.monotonic();
      for (let tries = 0; ; tries++) {
        signal.throwIfAborted();
        const at = active % addresses.length;
        try {
          return await once(call, addresses[at] ?? '', signal);
        } catch (caught) {
          signal.throwIfAborted();
          const error = toAppError(caught, call.doing);
          if (!isPassing(error) || clock.monotonic() - since > patienceMs) throw error;
          if (mayBeDone(error)) call.onRepeat?.();
          // Unless another call has found a better one meanwhile.
          if (active % addresses.length === at) active = at + 1;
        }
        // The other one of a pair is asked at once.
        if ((tries + 1) % addresses.length === 0) await clock.sleep(pauseAfter(Math.floor(tries / addresses.length)), signal);
      }
    },
  };
}

export function parseJson(text: string, doing: string, from: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('FAILED', `${doing}: ${from} answered something else than JSON`, { cause: error });
  }
}

/** Milliseconds to wait after so many rounds that failed. */
export function pauseAfter(rounds: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** rounds, LONGEST_PAUSE_MS);
}

const NOT_CONNECTED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Neither refused by HDFS nor kept from reaching it. */
function mayBeDone(error: AppError): boolean {
  const { cause } = error;
  return exceptionName(error) === undefined && !(cause instanceof Error && 'code' in cause && NOT_CONNECTED.has(cause.code));
}

/** A DataNode or a NameNode that cannot be talked to. */
export function unreachable(caught: unknown, doing: string, address: string): AppError {
  const reason = caught instanceof Error ? caught.message || String(caught.cause) : String(caught);
  const code = caught instanceof Error && /Timeout/.test(caught.name) ? 'TIMEOUT' : 'UNAVAILABLE';
  return new AppError(code, `${doing}: ${address} cannot be talked to: ${reason}`, {
    cause: caught,
    hint: 'Check that the NameNode and the DataNodes run, and that this node reaches their HTTP ports.',
  });
}

/** Parts by themselves: a '/' joins them, and nothing in a name is taken for syntax. */
function encodePath(path: string): string {
  const parts = path.split('/');
  // HDFS has no such names, and a URL would lead elsewhere by them.
  if (parts.some((part) => part === '.' || part === '..'))
    throw new AppError('INVALID', `${path} is no path in HDFS`, { hint: 'Name a path without "." and "..".' });
  return parts.map(encodeURIComponent).join('/');
}

export async function boundedText(body: AsyncIterable<unknown>, doing: string, limit = ANSWER_LIMIT): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > limit) throw new AppError('FAILED', `${doing}: the answer is larger than ${limit} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}
