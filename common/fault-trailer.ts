/** What a gRPC status alone cannot carry of an error: its code, its hint and who leads, as JSON in a trailer. */
import { Metadata } from '@grpc/grpc-js';
import { z } from 'zod';
import { AppError, fromFault, toFault } from './errors.ts';

export const FAULT_TRAILER = 'holdfast-fault-bin';

const faultSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  /** host:port of the controller that leads: with NOT_LEADER, when it is known. */
  leader: z.string().optional(),
});

export function faultTrailer(error: AppError): Metadata {
  const leader = leaderOf(error);
  const fault = { ...toFault(error), ...(leader !== undefined && { leader }) };
  const metadata = new Metadata();
  metadata.set(FAULT_TRAILER, Buffer.from(JSON.stringify(fault)));
  return metadata;
}

/** undefined: there is none, or it is of another product or version; the status still says what kind of error it is. */
export function faultIn(caught: unknown): AppError | undefined {
  if (!(caught instanceof Error && 'metadata' in caught && caught.metadata instanceof Metadata)) return undefined;
  const [value] = caught.metadata.get(FAULT_TRAILER);
  if (value === undefined) return undefined;
  try {
    const { leader, ...fault } = faultSchema.parse(JSON.parse(value.toString('utf8')));
    const error = fromFault(fault);
    return leader === undefined
      ? error
      : new AppError(error.code, error.message, { cause: caught, hint: error.hint, details: { leader } });
  } catch {
    return undefined;
  }
}

/** host:port, when the error says who leads instead of whom was asked. */
export function leaderOf(error: AppError): string | undefined {
  const leader = error.code === 'NOT_LEADER' ? error.details['leader'] : undefined;
  return typeof leader === 'string' && leader !== '' ? leader : undefined;
}
