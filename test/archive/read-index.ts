/** Reads the index of an archive. The product only writes it: this proves that what it writes is enough, and that damage to it is seen. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { FRAME_BYTES } from '../../agent/archive/frames.ts';

const size = z
  .string()
  .regex(/^-?\d{1,20}$/)
  .transform(BigInt);
const headSchema = z.strictObject({ format: z.literal('holdfast-index/1'), frameBytes: z.literal(FRAME_BYTES) });
const entrySchema = z.strictObject({
  path: z.string(),
  type: z.enum(['file', 'directory', 'symlink', 'hardlink']),
  size,
  mode: z.int(),
  uid: z.int(),
  gid: z.int(),
  mtimeNs: size,
  link: z.string().optional(),
  /** Offset of the entry's headers in the uncompressed tar. */
  at: size,
});
const framesSchema = z.strictObject({ frames: z.array(z.int().nonnegative()) });
const endSchema = z.strictObject({ entries: z.int(), frames: z.int(), tarBytes: size, archiveBytes: size });

export type IndexEntry = z.output<typeof entrySchema>;

export interface ArchiveIndex {
  readonly entries: readonly IndexEntry[];
  /** Offset of each frame in the archive. */
  readonly frames: readonly number[];
  readonly tarBytes: bigint;
  readonly archiveBytes: bigint;
}

/** @throws AppError DAMAGED when it is truncated or altered. */
export async function readIndex(stream: Readable, name: string): Promise<ArchiveIndex> {
  const faulty = (text: string, cause?: unknown) =>
    new AppError('DAMAGED', `the index ${name} cannot be trusted: ${text}`, { cause });
  const entries: IndexEntry[] = [];
  const frames: number[] = [];
  let end: z.output<typeof endSchema> | undefined;
  let first = true;
  const plain = createZstdDecompress();
  // `plain` carries the error to the loop below.
  pipeline(stream, plain).catch(() => undefined);
  try {
    for await (const text of linesOf(plain)) {
      const json: unknown = JSON.parse(text);
      if (first) headSchema.parse(json);
      else if (end !== undefined) throw faulty('something follows its end');
      else if (typeof json === 'object' && json !== null && 'path' in json) entries.push(entrySchema.parse(json));
      else if (typeof json === 'object' && json !== null && 'entries' in json) end = endSchema.parse(json);
      else frames.push(...framesSchema.parse(json).frames);
      first = false;
    }
  } catch (error) {
    throw error instanceof AppError ? error : faulty(error instanceof Error ? error.message : String(error), error);
  }
  if (end === undefined) throw faulty('its end is missing');
  if (end.entries !== entries.length || end.frames !== frames.length) throw faulty('it counts other than it holds');
  return { entries, frames, tarBytes: end.tarBytes, archiveBytes: end.archiveBytes };
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const part of stream) {
    const lines = (rest + String(part)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') throw new Error('its last line is cut');
}
