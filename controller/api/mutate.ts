/** Every change asked for by a caller: once per request id, audited, in one transaction with what it does. */
import { createHash } from 'node:crypto';
import { AppError } from '#common/errors.ts';
import type { Peer } from '#common/tls.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';

interface Codec<T> {
  encode(value: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface Mutation<Request extends { requestId: string }, Response> {
  readonly method: string;
  readonly request: Request;
  readonly requestCodec: Codec<Request>;
  readonly responseCodec: Codec<Response>;
  /** What it is about, for the audit. */
  readonly subject: string;
  readonly detail?: string;
}

/** The first answer when this request id was answered before. @throws AppError INVALID when it meant something else then. */
export async function answeredBefore<Request extends { requestId: string }, Response>(
  from: Pick<Change, 'answer'>,
  mutation: Mutation<Request, Response>,
): Promise<Response | undefined> {
  const { requestId } = mutation.request;
  if (requestId === '') return undefined;
  const before = await from.answer(requestId);
  if (before === undefined) return undefined;
  if (before.method !== mutation.method || before.digest !== digestOf(mutation)) {
    throw new AppError('INVALID', `the request id ${JSON.stringify(requestId)} was used before, for another request`, {
      hint: 'Make up a new request id for each new request.',
    });
  }
  return mutation.responseCodec.decode(before.response);
}

export async function mutate<Request extends { requestId: string }, Response>(
  io: EngineIo,
  peer: Peer,
  mutation: Mutation<Request, Response>,
  work: (change: Change) => Promise<Response>,
): Promise<Response> {
  const { method, request, subject, detail = '' } = mutation;
  if (request.requestId.length > 200) throw new AppError('INVALID', 'a request id has at most 200 characters');
  return io.change(async (change) => {
    const before = await answeredBefore(change, mutation);
    if (before !== undefined) return before;
    const response = await work(change);
    const now = io.clock.now();
    if (request.requestId !== '') {
      const bytes = mutation.responseCodec.encode(response).finish();
      await change.putAnswer(request.requestId, { method, digest: digestOf(mutation), response: bytes }, now);
    }
    await change.audit({ timeMs: now, who: peer.name, method, subject, detail });
    // It may have set the next due time.
    change.after(() => io.hint());
    change.after(() => io.log.info({ audit: true, who: peer.name, method, subject, detail }, 'changed by an administrator'));
    return response;
  });
}

function digestOf<Request extends { requestId: string }, Response>({
  request,
  requestCodec,
}: Mutation<Request, Response>): string {
  return createHash('sha256').update(requestCodec.encode(request).finish()).digest('hex');
}
