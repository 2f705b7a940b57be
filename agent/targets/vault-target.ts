/** The vault of a management node as a target: HTTP/2 over mTLS, see agent/vault/protocol.ts. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { PassThrough, Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import type { z } from 'zod';
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError, fromFault, toAppError } from '#common/errors.ts';
import { requireKey } from '#common/names.ts';
import { peerIdentity, tlsOptions } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';
import { keepAlive } from '../vault/keep-alive.ts';
import {
  HEADERS,
  SILENCE_LIMIT_MS,
  deletedAnswer,
  faultAnswer,
  listAnswer,
  spaceAnswer,
  storedAnswer,
} from '../vault/protocol.ts';
import type { ByteRange, Digest, Stored, Target } from './target.ts';

export interface VaultTargetOptions {
  /** Whose vault it must be: compared with the server's certificate. */
  readonly node: string;
  readonly url: string;
  readonly grant: string;
  readonly tls: TlsFiles;
  readonly windowBytes: number;
  /** Ends the attempt to connect; the transfers take their own. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly silenceMs?: number;
}

const CONNECT_MS = 10_000;
/** An answer is a list or a fault: a larger one is not ours. */
const ANSWER_LIMIT = 64 * 1024 * 1024;

export async function openVaultTarget(options: VaultTargetOptions): Promise<Target & AsyncDisposable> {
  const name = `the vault of node ${options.node}`;
  const session = await openSession(name, options);

  function request(method: string, path: string, headers: Record<string, string>, signal: AbortSignal): ClientHttp2Stream {
    signal.throwIfAborted();
    if (session.destroyed || session.closed) throw new AppError('UNAVAILABLE', `${name}: the connection is closed`);
    const stream = session.request(
      { ':method': method, ':path': path, [HEADERS.grant]: options.grant, ...headers },
      { endStream: method !== 'PUT', waitForTrailers: method === 'PUT' },
    );
    const abort = () => stream.destroy(toAppError(signal.reason, `${method} ${path}`));
    signal.addEventListener('abort', abort, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', abort));
    return stream;
  }

  async function ask<T extends z.ZodType>(method: string, path: string, schema: T, signal: AbortSignal): Promise<z.output<T>> {
    return readAnswer(request(method, path, {}, signal), schema, `${method} ${path} at ${name}`, signal);
  }

  return {
    name,

    async put(key, bytes, signal, known) {
      requireKey(key);
      const doing = `store ${key} in ${name}`;
      let stream: ClientHttp2Stream;
      try {
        stream = request('PUT', `/${key}`, {}, signal);
      } catch (error) {
        bytes.destroy();
        throw toAppError(error, doing);
      }
      return sendFile(key, bytes, known, stream, doing, signal);
    },

    async get(key, signal, range?: ByteRange) {
      requireKey(key);
      const headers = range === undefined ? {} : { [HEADERS.range]: `${range.start}-${range.end}` };
      const stream = request('GET', `/${key}`, headers, signal);
      const doing = `read ${key} from ${name}`;
      const answered = await answerOf(stream, doing, signal);
      if (answered[':status'] !== 200) throw await refusalOf(stream, doing, signal);
      return exactly(stream, BigInt(answered['content-length'] ?? 0), doing);
    },

    list: (prefix, signal) => ask('GET', `/?list=${encodeURIComponent(prefix)}`, listAnswer, signal),
    freeSpace: (signal) => ask('GET', '/?space', spaceAnswer, signal),

    async delete(key, signal) {
      requireKey(key);
      await readAnswer(request('DELETE', `/${key}`, {}, signal), deletedAnswer, `delete ${key} in ${name}`, signal);
    },

    async [Symbol.asyncDispose]() {
      if (session.destroyed) return;
      const closed = once(session, 'close');
      session.destroy();
      await closed;
    },
  };
}

async function openSession(name: string, options: VaultTargetOptions): Promise<ClientHttp2Session> {
  const { url, node, tls, windowBytes, signal } = options;
  const session = connect(url, { ...tlsOptions(tls), settings: { initialWindowSize: windowBytes, enablePush: false } });
  try {
    // Not at 'connect': with TLS 1.3 a server refuses a certificate after that. Its settings come from one that took us.
    const refused = once(session, 'close').then(() => {
      throw new Error('it closed the connection: it does not know this certificate, or is stopping');
    });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]);
    await Promise.race([once(session, 'remoteSettings', { signal: limit }), refused]);
    refused.catch(() => undefined);
    const peer = peerIdentity((session.socket as TLSSocket).getPeerCertificate());
    if (peer.role !== 'agent' || peer.name !== node) {
      throw new AppError('FORBIDDEN', `${name} at ${url} is answered by ${peer.name} (${peer.role})`, {
        hint: 'Correct the url in the agent.yaml of that node.',
      });
    }
  } catch (error) {
    session.destroy();
    if (signal.aborted || error instanceof AppError) throw toAppError(error, `connect to ${name}`);
    throw new AppError('UNAVAILABLE', `connect to ${name} at ${url}: ${reasonOf(error)}`, {
      cause: error,
      hint: `Check that the agent of ${node} runs and that ${url} can be reached from here.`,
    });
  }
  session.setLocalWindowSize(windowBytes);
  // Each transfer reports for itself; without a listener the process would end.
  session.on('error', () => undefined);
  keepAlive(session, name, options.silenceMs ?? SILENCE_LIMIT_MS, options.clock ?? systemClock);
  return session;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) return 'no answer within 10 s';
  return error instanceof Error ? error.message : String(error);
}

/** Size and SHA-256 go last, as trailers: without them the vault keeps nothing. */
async function sendFile(
  key: string,
  bytes: Readable,
  known: Promise<Digest> | undefined,
  stream: ClientHttp2Stream,
  doing: string,
  signal: AbortSignal,
): Promise<Stored> {
  const { digest, through } = known === undefined ? measureBytes() : { digest: known, through: [] };
  stream.once('wantTrailers', () => {
    digest
      .then(({ size, sha256 }) => stream.sendTrailers({ [HEADERS.size]: String(size), [HEADERS.sha256]: sha256 }))
      .catch((error: unknown) => stream.destroy(toAppError(error, doing)));
  });
  // The pipeline takes the source down with the line: only a source that fails before the line does has failed itself.
  let sourceFailed = false;
  bytes.once('error', () => (sourceFailed = !stream.destroyed));
  const answer = readAnswer(stream, storedAnswer, doing, signal);
  const sending = pipeline([bytes, ...through, stream]);
  const [sent, answered] = await Promise.allSettled([sending, answer]);
  // The vault's own word for a refusal says more than the broken pipe that it leads to; a source that failed is the first cause.
  if (sent.status === 'rejected' && sourceFailed) throw toAppError(sent.reason, doing);
  if (answered.status === 'rejected') throw toAppError(answered.reason, doing);
  if (sent.status === 'rejected') throw toAppError(sent.reason, doing);
  const { size, sha256 } = await digest;
  if (answered.value.size !== size || answered.value.sha256 !== sha256) {
    throw new AppError('DAMAGED', `${doing}: the vault wrote something else than was sent`);
  }
  return { key, size, sha256 };
}

/** Counts and hashes what passes. */
function measureBytes(): { digest: Promise<Digest>; through: Transform[] } {
  const hash = createHash('sha256');
  const digest = Promise.withResolvers<Digest>();
  let size = 0n;
  const meter = new Transform({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += BigInt(chunk.length);
      done(null, chunk);
    },
    flush(done) {
      digest.resolve({ size, sha256: hash.digest('hex') });
      done();
    },
  });
  return { digest: digest.promise, through: [meter] };
}

/** The headers of the answer; UNAVAILABLE when the stream ends without. */
function answerOf(
  stream: ClientHttp2Stream,
  doing: string,
  signal: AbortSignal,
): Promise<IncomingHttpHeaders & { ':status'?: number }> {
  return new Promise((resolve, reject) => {
    let failure: unknown;
    stream.once('response', resolve);
    stream.on('error', (error) => (failure = error));
    stream.once('close', () => reject(brokenOff(failure, doing, signal)));
  });
}

function brokenOff(failure: unknown, doing: string, signal: AbortSignal): AppError {
  if (signal.aborted) return toAppError(signal.reason, doing);
  if (failure instanceof AppError) return failure;
  const reason = failure instanceof Error ? failure.message : 'the connection was closed';
  return new AppError('UNAVAILABLE', `${doing}: it broke off: ${reason}`, { cause: failure });
}

async function readAnswer<T extends z.ZodType>(
  stream: ClientHttp2Stream,
  schema: T,
  doing: string,
  signal: AbortSignal,
): Promise<z.output<T>> {
  const answered = await answerOf(stream, doing, signal);
  if (answered[':status'] !== 200) throw await refusalOf(stream, doing, signal);
  return parse(await readText(stream, doing, signal), schema, doing);
}

async function refusalOf(stream: ClientHttp2Stream, doing: string, signal: AbortSignal): Promise<AppError> {
  return fromFault(parse(await readText(stream, doing, signal), faultAnswer, doing));
}

/** A vault that dies in mid-answer looks like the end of it. */
function parse<T extends z.ZodType>(text: string, schema: T, doing: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new AppError('UNAVAILABLE', `${doing}: the answer broke off, or is none`, { cause: error });
  }
}

function readText(stream: ClientHttp2Stream, doing: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    let failure: unknown;
    stream.setEncoding('utf8');
    stream.on('data', (part: string) => {
      text += part;
      if (text.length > ANSWER_LIMIT) stream.destroy(new AppError('DAMAGED', `${doing}: the answer is too long`));
    });
    stream.on('error', (error) => (failure = error));
    stream.once('end', () => resolve(text));
    stream.once('close', () => reject(brokenOff(failure, doing, signal)));
  });
}

/** A stream that ends before its length is an error, never a quiet end. */
function exactly(stream: ClientHttp2Stream, length: bigint, doing: string): Readable {
  let left = length;
  const out = new PassThrough({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      left -= BigInt(chunk.length);
      done(null, chunk);
    },
    flush(done) {
      done(left === 0n ? null : new AppError('UNAVAILABLE', `${doing}: it broke off, ${left} bytes are missing`));
    },
  });
  // `out` carries the error to whoever reads it.
  pipeline(stream, out).catch(() => undefined);
  return out;
}
