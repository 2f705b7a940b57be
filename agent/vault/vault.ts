/**
 * The vault of a management node: its LocalBackup directory, served over HTTP/2 and mTLS to agents that hold a grant. See protocol.ts
 * for what it answers to.
 */
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { KeyObject } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import pLimit from 'p-limit';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import { openGrant, permits } from '#common/grant.ts';
import type { Grant, Verb } from '#common/grant.ts';
import { listenError } from '#common/listen.ts';
import type { Logger } from '#common/log.ts';
import { requireKey } from '#common/names.ts';
import { peerIdentity, tlsOptions } from '#common/tls.ts';
import type { Peer, TlsFiles } from '#common/tls.ts';
import type { TargetSpace } from '../targets/target.ts';
import { openAttempts } from './attempts.ts';
import { keepAlive } from './keep-alive.ts';
import { HEADERS, SILENCE_LIMIT_MS, encodeAnswer, parsePath } from './protocol.ts';
import { receiveFile, trailersOf } from './receive.ts';
import type { Trailers } from './receive.ts';
import { sendFile } from './send.ts';
import { keepSpace } from './space.ts';
import type { VaultLimits } from './space.ts';
import { openStorage } from './storage.ts';

export interface VaultOptions {
  readonly directory: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsFiles;
  readonly nodeName: string;
  readonly grantPublicKey: KeyObject;
  readonly limits: VaultLimits;
  /** HTTP/2 flow-control window in bytes. */
  readonly windowBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long a silent peer is waited for. */
  readonly silenceMs?: number;
  /** How long a stop lets what is under way go on. */
  readonly graceMs?: number;
}

export interface Vault {
  readonly url: string;
  space(): Promise<TargetSpace>;
  /** Takes nothing new, and breaks off what has not ended after a while: nothing half written becomes visible. */
  stop(): Promise<void>;
}

/** Long enough for the end of a short transfer, short enough for who waits for a SIGTERM. */
const GRACE_MS = 5000;
/** For the last words to reach a peer that still hears. */
const FAREWELL_MS = 1000;
const HANDSHAKE_MS = 10_000;
/** A PUT that is refused at once must still let its sender read why. */
const REFUSED_WITHOUT_ERROR = 0;

export async function startVault(options: VaultOptions): Promise<Vault> {
  const { clock, log, tls, windowBytes } = options;
  const storage = await openStorage(options.directory);
  const changes = pLimit(1);
  const space = await keepSpace(storage, changes, options.limits);
  const receiving = { node: options.nodeName, storage, space, changes };
  const attempts = await openAttempts(join(storage.ownDirectory, 'attempts'), clock);

  async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, trailers: Trailers): Promise<void> {
    const peer = peerOf(stream.session);
    const { key, query } = parsePath(headers[':path'] ?? '/');
    const prefix = query.get('list');
    if (key === '' && query.has('space')) return reply(stream, await space.space());
    if (key === '' && prefix !== null) {
      // The first thing a newer attempt does. The older ones may go on reading.
      await fence(authorize(peer, headers, 'list', prefix), prefix);
      return reply(stream, await storage.list(prefix));
    }
    requireKey(key);
    switch (headers[':method'] ?? '') {
      case 'PUT': {
        const requireNewest = await fence(authorize(peer, headers, 'put', key), key);
        requireNewest();
        return reply(stream, await receiveFile(key, stream, trailers, { ...receiving, requireNewest }));
      }
      case 'GET': {
        authorize(peer, headers, 'get', key);
        const range = headers[HEADERS.range];
        return sendFile(key, typeof range === 'string' ? range : undefined, stream, storage);
      }
      case 'DELETE': {
        const requireNewest = await fence(authorize(peer, headers, 'delete', key), key);
        await changes(async () => {
          requireNewest();
          space.removed(await storage.remove(key));
        });
        return reply(stream, {});
      }
      default:
        throw new AppError('INVALID', `a vault does not know ${String(headers[':method'])}`);
    }
  }

  /** @throws AppError FORBIDDEN unless the grant was given to this very peer, for this vault, this verb and this key. */
  function authorize(peer: Peer, headers: IncomingHttpHeaders, verb: Verb, key: string): Grant {
    const token = headers[HEADERS.grant];
    if (typeof token !== 'string') throw new AppError('FORBIDDEN', `${verb} ${key}: a vault opens to a grant only`);
    const grant = openGrant(token, options.grantPublicKey, clock.now());
    const forbidden = (why: string) => new AppError('FORBIDDEN', `${verb} ${key}: the grant ${why}`);
    if (grant.agent !== peer.name) throw forbidden(`was given to ${grant.agent}, not to ${peer.name}`);
    if (grant.vault !== options.nodeName) throw forbidden(`opens the vault of ${grant.vault}, not that of ${options.nodeName}`);
    if (!permits(grant, verb, key)) throw forbidden('does not open this');
    return grant;
  }

  /** Fences what is older than the grant's attempt; answers a check, to be made within each change, that it is not itself fenced. */
  async function fence(grant: Grant, key: string): Promise<() => void> {
    const prefix = grant.prefixes.find((candidate) => key.startsWith(candidate)) ?? '';
    await changes(() => attempts.note(grant, prefix));
    return () => attempts.requireNewest(grant, prefix);
  }

  const server = createSecureServer({
    ...tlsOptions(tls),
    handshakeTimeout: HANDSHAKE_MS,
    settings: { initialWindowSize: windowBytes, maxConcurrentStreams: 64 },
  });
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const working = new Set<Promise<void>>();
  let stopping = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', keep);
  server.on('secureConnection', keep);
  server.on('error', (error) => log.error({ err: error }, 'the vault could not take a connection'));
  server.on('session', (session) => {
    session.on('error', (error) => log.warn({ err: error }, 'a connection to the vault broke'));
    if (stopping) return session.destroy();
    sessions.add(session);
    session.setLocalWindowSize(windowBytes);
    session.once('close', () => sessions.delete(session));
    keepAlive(session, 'the agent', options.silenceMs ?? SILENCE_LIMIT_MS, clock);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', (error) => log.debug({ err: error }, 'a transfer broke'));
    const work = answer(stream, headers, trailersOf(stream)).catch((error: unknown) => refuse(stream, error, headers, log));
    working.add(work);
    void work.finally(() => working.delete(work));
  });
  server.on('tlsClientError', (error) => log.warn({ err: error }, 'a peer without a good certificate was refused'));

  const { host, port } = options.listen;
  server.listen(port, host);
  await once(server, 'listening').catch((error: unknown) => {
    throw listenError(error, options.listen, 'vault.listen of agent.yaml');
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `https://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    space: () => space.space(),
    async stop() {
      const ended = new AbortController();
      const closed = once(server, 'close').finally(() => ended.abort());
      const closedWithin = (ms: number) => clock.sleep(ms, ended.signal).catch(() => undefined);
      stopping = true;
      server.close();
      for (const session of sessions) session.close();
      await closedWithin(options.graceMs ?? GRACE_MS);
      for (const session of sessions) session.destroy();
      await closedWithin(FAREWELL_MS);
      // Who has vanished, or has never said who he is.
      for (const socket of sockets) socket.destroy();
      await Promise.all(working);
      await closed;
    },
  };
}

function peerOf(session: ServerHttp2Stream['session']): Peer {
  const socket = session?.socket as TLSSocket | undefined;
  const peer = peerIdentity(socket?.getPeerCertificate());
  if (peer.role !== 'agent') throw new AppError('FORBIDDEN', `a vault is open to agents only, and ${peer.name} is ${peer.role}`);
  return peer;
}

function reply(stream: ServerHttp2Stream, value: unknown, status = 200): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(encodeAnswer(value));
}

function refuse(stream: ServerHttp2Stream, caught: unknown, headers: IncomingHttpHeaders, log: Logger): void {
  const error = toAppError(caught, `${String(headers[':method'])} ${String(headers[':path'])}`);
  log.warn({ code: error.code, err: error }, 'the vault refused or failed a request');
  if (stream.headersSent) return void stream.destroy(error);
  reply(stream, toFault(error), error.code === 'NOT_FOUND' ? 404 : 400);
  // What is still on its way of a refused PUT is not wanted.
  stream.once('finish', () => stream.close(REFUSED_WITHOUT_ERROR));
}
