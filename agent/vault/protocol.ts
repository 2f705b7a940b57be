/**
 * How an agent and a vault talk: HTTP/2 over mTLS.
 *
 *   PUT /<key>            body, then trailers x-holdfast-size and x-holdfast-sha256 → {size, sha256}
 *   GET /<key>            with x-holdfast-range "start-end" (half-open) for a part → bytes, content-length first
 *   GET /?list=<prefix>   → [{key, size}]
 *   GET /?space           → {totalBytes, freeBytes, usedByBackupsBytes}
 *   DELETE /<key>         → {}
 *
 * Every request but `space` needs a grant. A refusal is a fault (code, message, hint) as JSON with a status that is not 200.
 */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';

export const HEADERS = {
  grant: 'x-holdfast-grant',
  size: 'x-holdfast-size',
  sha256: 'x-holdfast-sha256',
  range: 'x-holdfast-range',
} as const;

const size = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);

export const storedAnswer = z.object({ size, sha256: z.string() });
export const listAnswer = z.array(z.object({ key: z.string(), size }));
export const spaceAnswer = z.object({ totalBytes: size, freeBytes: size, usedByBackupsBytes: size });
export const deletedAnswer = z.object({});
export const faultAnswer = z.object({ code: z.string(), message: z.string(), hint: z.string() });

/** Not `new URL`, which would resolve `..` first. @throws AppError INVALID */
export function parsePath(text: string): { key: string; query: URLSearchParams } {
  const [path = '', query] = text.split('?', 2);
  try {
    return { key: decodeURIComponent(path).slice(1), query: new URLSearchParams(query) };
  } catch (error) {
    throw new AppError('INVALID', `the path ${JSON.stringify(text)} is no proper text`, { cause: error });
  }
}

/** JSON with sizes as strings: beyond 2^53 a number would be rounded. */
export function encodeAnswer(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
}

/** Both sides: how long a peer may be silent on a ping before it counts as gone. A cut cable says no farewell. */
export const SILENCE_LIMIT_MS = 30_000;
