/** The index that an incremental builds on, laid out on disk so that any entry of it is found: a million of them take no memory. */
import { createReadStream } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { readPoint } from '../../archive/point/read-point.ts';
import type { IndexEntry, KeptContent, Reference } from '../../archive/point/point.ts';
import type { Base } from '../point-source.ts';
import type { EntryAttributes } from './attributes.ts';

export interface OldEntry {
  readonly path: string;
  readonly type: IndexEntry['type'];
  readonly size: bigint;
  readonly attributes: EntryAttributes;
  readonly content: KeptContent | undefined;
}

export interface OldIndex extends Disposable {
  get(path: string): OldEntry | undefined;
}

const row = z.object({
  path: z.string(),
  type: z.enum(['file', 'directory', 'symlink']),
  size: z.string(),
  rest: z.string(),
});
const location = z.object({ in: z.int(), frame: z.string(), end: z.string(), at: z.int(), sha256: z.string() });
const text = z.string();
/** What every entry of ours has; the rest is handed on as it is. */
const attributesSchema = z.looseObject({
  owner: text,
  group: text,
  mode: z.int(),
  modifiedMs: z.int(),
  accessMs: z.int(),
  fileId: text,
  replication: z.int().exactOptional(),
  blockSize: text.exactOptional(),
  storagePolicy: text.exactOptional(),
  ecPolicy: text.exactOptional(),
  acl: z.array(text).exactOptional(),
  xattrs: z.record(text, text).exactOptional(),
  quota: z.object({ names: text.exactOptional(), bytes: text.exactOptional() }).exactOptional(),
});
const restSchema = z.object({ attributes: attributesSchema, content: location.optional() });

/** `file` must not exist. @throws AppError DAMAGED when the index is not sound. */
export async function openOldIndex(base: Base, file: string, signal: AbortSignal): Promise<OldIndex> {
  const references: readonly Reference[] = [{ manifest: base.manifest, archive: base.archive }, ...base.references];
  const database = new DatabaseSync(file);
  try {
    // It is thrown away: what a crash would lose is of no use.
    database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768');
    database.exec('CREATE TABLE entry (path TEXT, type TEXT, size TEXT, rest TEXT)');
    const insert = database.prepare('INSERT INTO entry VALUES (?, ?, ?, ?)');
    database.exec('BEGIN');
    for await (const { path, type, size, attributes, content } of readPoint(createReadStream(await base.index()), signal)) {
      const where = content && {
        in: content.in,
        ...content.location,
        frame: `${content.location.frame}`,
        end: `${content.location.end}`,
      };
      const rest = JSON.stringify({ attributes, ...(where !== undefined && { content: where }) });
      insert.run(path, type, String(size), rest);
    }
    database.exec('COMMIT; CREATE UNIQUE INDEX entry_path ON entry (path)');
  } catch (error) {
    database.close();
    throw error;
  }
  const one = database.prepare('SELECT path, type, size, rest FROM entry WHERE path = ?');

  function entryOf({ path, type, size, rest }: z.output<typeof row>): OldEntry {
    const { attributes, content } = restSchema.parse(JSON.parse(rest));
    if (content === undefined) return { path, type, size: BigInt(size), attributes, content };
    const reference = references[content.in];
    if (reference === undefined)
      throw new AppError('DAMAGED', `the index to build on points into an archive that it does not name`);
    const { frame, end, at, sha256 } = content;
    const kept = { kind: 'kept', in: reference, location: { frame: BigInt(frame), end: BigInt(end), at, sha256 } } as const;
    return { path, type, size: BigInt(size), attributes, content: kept };
  }

  return {
    get(path) {
      const found = one.get(path);
      return found === undefined ? undefined : entryOf(row.parse(found));
    },
    [Symbol.dispose]: () => database.close(),
  };
}
