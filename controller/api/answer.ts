/** How every call is answered: who may, and what an error becomes on the wire. */
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import type { ServerErrorResponse, ServerUnaryCall, ServerWritableStream, handleUnaryCall } from '@grpc/grpc-js';
import { ERROR_CODES, AppError, toAppError } from '#common/errors.ts';
import { faultTrailer } from '#common/fault-trailer.ts';
import type { Logger } from '#common/log.ts';
import { peerIdentity } from '#common/tls.ts';
import type { Peer, PeerRole } from '#common/tls.ts';

/** The one place where an AppError becomes a gRPC status. */
export function statusOf(error: AppError): ServerErrorResponse {
  const { message, code } = error;
  return Object.assign(new Error(message), { code: ERROR_CODES[code].grpc, details: message, metadata: faultTrailer(error) });
}

type AnyCall = Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>;

/** @throws AppError UNAUTHENTICATED; FORBIDDEN when the certificate is of another role. */
export function requirePeer(call: AnyCall, role: PeerRole, service: string): Peer {
  const peer = peerIdentity(call.getAuthContext().sslPeerCertificate);
  if (peer.role !== role) {
    throw new AppError('FORBIDDEN', `${service} is for the role ${role}, and the certificate of ${peer.name} is of ${peer.role}`);
  }
  return peer;
}

/** A call of an administrator with one answer. */
export function adminCall<Request, Response>(
  log: Logger,
  answer: (request: Request, peer: Peer) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, done) => {
    const respond = async () => answer(call.request, requirePeer(call, 'admin', 'AdminService'));
    respond().then(
      (response) => done(null, response),
      (caught: unknown) => {
        const error = toAppError(caught, `answer ${call.getPath()}`);
        logRefusal(log, call.getPath(), error);
        done(statusOf(error));
      },
    );
  };
}

/** A call of an administrator with many answers; `signal` aborts when the caller goes. */
export function adminStream<Request, Response>(
  log: Logger,
  answer: (request: Request, send: (response: Response) => Promise<void>, signal: AbortSignal) => Promise<void>,
): (call: ServerWritableStream<Request, Response>) => void {
  return (call) => {
    const gone = new AbortController();
    const onGone = () => gone.abort(new AppError('STOPPED', 'the caller has gone'));
    call.once('cancelled', onGone);
    call.once('close', onGone);
    call.on('error', onGone);
    const send = async (response: Response) => {
      gone.signal.throwIfAborted();
      // A caller that reads slowly is waited for, so that nothing piles up here.
      if (!call.write(response)) await once(call, 'drain', { signal: gone.signal });
    };
    const respond = async () => {
      requirePeer(call, 'admin', 'AdminService');
      await answer(call.request, send, gone.signal);
    };
    respond().then(
      () => call.end(),
      (caught: unknown) => {
        if (gone.signal.aborted) return void call.end();
        const error = toAppError(caught, `answer ${call.getPath()}`);
        logRefusal(log, call.getPath(), error);
        // grpc-js ends the call with the status of an 'error'.
        call.emit('error', statusOf(error));
      },
    );
  };
}

/** What a caller did wrong is his to read; what we did wrong is ours. */
function logRefusal(log: Logger, call: string, error: AppError): void {
  const ours = ERROR_CODES[error.code].grpc === status.INTERNAL;
  log[ours ? 'error' : 'info']({ call, code: error.code, err: error }, 'a call was refused or failed');
}
