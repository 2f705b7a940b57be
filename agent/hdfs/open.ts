/** Bytes of a file, in one stream however many DataNodes it takes. */
import { Readable } from 'node:stream';
import { AppError } from '#common/errors.ts';
import { unreachable } from './call.ts';
import type { Answer, DataNodes } from './data-nodes.ts';

export interface Part {
  readonly path: string;
  readonly offset: bigint;
  readonly length: bigint;
}

/** Held in memory for whoever reads. */
const AHEAD_BYTES = 256 * 1024;

export async function openFile(dataNodes: DataNodes, { path, offset, length }: Part, signal: AbortSignal): Promise<Readable> {
  if (length === 0n) return Readable.from([], { objectMode: false });
  const doing = `read ${path}`;
  const end = offset + length;
  let at = offset;
  const holders = dataNodes.holders(path, () => at, doing, signal);

  const reach = (): Promise<Answer> => {
    const call = { method: 'GET', op: 'OPEN', path, parameters: { offset: at, length: end - at }, doing } as const;
    return dataNodes.fetch(call, holders, signal, (answer) => {
      if (answer.length === undefined || answer.length === end - at) return;
      throw new AppError('REFUSED', `${doing}: from byte ${at} on it has ${answer.length} bytes, not ${end - at}`, {
        hint: 'The file has changed since it was looked at.',
      });
    });
  };
  let answer = await reach();

  async function* bytes(): AsyncGenerator<Buffer, void, undefined> {
    while (at < end) {
      const { body, from } = answer;
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          if (BigInt(chunk.length) > end - at) throw new AppError('FAILED', `${doing}: ${from} sent more than it was asked for`);
          at += BigInt(chunk.length);
          holders.progressed();
          yield chunk;
        }
        if (at < end) throw new AppError('UNAVAILABLE', `${doing}: ${from} broke off ${end - at} bytes before the end`);
      } catch (caught) {
        await holders.bear(caught instanceof AppError ? caught : unreachable(caught, doing, from), from);
        answer = await reach();
      }
    }
  }
  const stream = Readable.from(bytes(), { objectMode: false, highWaterMark: AHEAD_BYTES });
  // Also when it is destroyed before it was read: the connection is not to be kept.
  stream.once('close', () => answer.body.destroy());
  return stream;
}
