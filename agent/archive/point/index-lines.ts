/**
 * The lines of an index that points into several archives. One JSON value a line, in portions of zstd with a checksum:
 *
 *   {"format":"holdfast-index/2"}
 *   {"path":…,"type":…,"size":"…", …attributes…, "in":0,"frame":"…","at":512,"end":"…","sha256":"…"}   an entry, in tree order
 *   {"entries":…,"contentBytes":"…"}                                                                   the end, or it is truncated
 *
 * `in` 0 is the archive of this backup file, k ≥ 1 the k-th of `references` in its manifest. What has no content has none of
 * `in`, `frame`, `at`, `end` and `sha256`.
 */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import type { Json } from '#common/json.ts';
import { FRAME_BYTES } from '../frames.ts';
import { RESERVED_NAMES } from './point.ts';
import type { IndexEntry, PointEntry } from './point.ts';

export const POINT_INDEX_FORMAT = 'holdfast-index/2';

/** Characters of a line, its attributes included, beyond which it is none of ours. */
export const LONGEST_LINE = 4 * 1024 * 1024;

export function headLine(): string {
  return JSON.stringify({ format: POINT_INDEX_FORMAT });
}

export function endLine(totals: { entries: number; contentBytes: bigint }): string {
  return `{"entries":${totals.entries},"contentBytes":"${totals.contentBytes}"}`;
}

/** Put together by hand: a million of them, and JSON.stringify takes no bigint. @throws AppError BUG for a reserved name, LIMIT. */
export function entryLine({ path, type, size, attributes }: PointEntry, content: IndexEntry['content']): string {
  const taken = RESERVED_NAMES.find((name) => Object.hasOwn(attributes, name));
  if (taken !== undefined) throw new AppError('BUG', `index ${path}: an attribute is called ${taken}`);
  const more = JSON.stringify(attributes).slice(1, -1);
  const line = `{"path":${JSON.stringify(path)},"type":"${type}","size":"${size}"${more === '' ? '' : `,${more}`}${contentFields(content)}}`;
  if (line.length > LONGEST_LINE) throw new AppError('LIMIT', `index ${path}: its attributes are ${more.length} characters long`);
  return line;
}

function contentFields(content: IndexEntry['content']): string {
  if (content === undefined) return '';
  const { frame, at, end, sha256 } = content.location;
  return `,"in":${content.in},"frame":"${frame}","at":${at},"end":"${end}","sha256":"${sha256}"`;
}

const size = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,18})$/)
  .transform(BigInt);
const headSchema = z.strictObject({ format: z.literal(POINT_INDEX_FORMAT) });
const endSchema = z.strictObject({ entries: z.int().nonnegative(), contentBytes: size });
const entrySchema = z.looseObject({
  path: z.string(),
  type: z.enum(['file', 'directory', 'symlink']),
  size,
  in: z.int().nonnegative().optional(),
  frame: size.optional(),
  at: z.int().nonnegative().lt(FRAME_BYTES).optional(),
  end: size.optional(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});

export type IndexLine =
  | { readonly kind: 'entry'; readonly entry: IndexEntry }
  | { readonly kind: 'end'; readonly entries: number; readonly contentBytes: bigint };

/** @throws Error saying what is wrong with it. */
export function requireHead(line: string): void {
  headSchema.parse(JSON.parse(line));
}

/** @throws Error saying what is wrong with it. */
export function parseLine(line: string): IndexLine {
  const json: unknown = JSON.parse(line);
  if (typeof json !== 'object' || json === null || !('path' in json)) return { kind: 'end', ...endSchema.parse(json) };
  const { path, type, size: bytes, in: archive, frame, at, end, sha256, ...attributes } = entrySchema.parse(json);
  const common = { path, type, size: bytes, attributes: attributes as Record<string, Json> };
  if (archive === undefined && frame === undefined && at === undefined && end === undefined && sha256 === undefined) {
    if (bytes > 0n) throw new Error(`${path} has content, and nothing says where`);
    return { kind: 'entry', entry: { ...common, content: undefined } };
  }
  if (archive === undefined || frame === undefined || at === undefined || end === undefined || sha256 === undefined) {
    throw new Error(`${path} has a part only of what says where its content is`);
  }
  if (type !== 'file' || bytes === 0n) throw new Error(`${path} has no content, and something says where it is`);
  if (frame >= end) throw new Error(`${path} lies in no bytes of an archive`);
  return { kind: 'entry', entry: { ...common, content: { in: archive, location: { frame, at, end, sha256 } } } };
}
