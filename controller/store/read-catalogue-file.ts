/** Reads the file of a catalogue and holds it against its trailer. */
import { createHash } from 'node:crypto';
import { AppError } from '#common/errors.ts';
import { FORMAT_VERSION, TABLE_NAMES, parseLine } from './catalogue-file.ts';
import type { Header, Row, TableName, Trailer } from './catalogue-file.ts';
import { linesOf } from './lines.ts';
import { SCHEMA_VERSION } from './migrate.ts';

/** What `take` was given counts only when this resolves. @throws AppError DAMAGED, REFUSED */
export async function readCatalogueFile(
  bytes: AsyncIterable<Uint8Array>,
  take: (table: TableName, row: Row) => Promise<void>,
): Promise<{ header: Header; trailer: Trailer }> {
  const sum = createHash('sha256');
  const counts: Record<string, number> = Object.fromEntries(TABLE_NAMES.map((table) => [table, 0]));
  let header: Header | undefined;
  let trailer: Trailer | undefined;
  for await (const text of linesOf(bytes)) {
    const line = parseLine(text);
    if (line === undefined || trailer !== undefined) throw damaged('a line of it is none of a catalogue');
    if (line.kind === 'trailer') {
      trailer = line.trailer;
      continue;
    }
    sum.update(text).update('\n');
    if (line.kind === 'header' && header === undefined) {
      header = line.header;
      requireSameVersion(header);
    } else if (line.kind === 'row' && header !== undefined) {
      counts[line.table] = (counts[line.table] ?? 0) + 1;
      await take(line.table, line.row);
    } else {
      throw damaged('its lines are not in their order');
    }
  }
  if (header === undefined || trailer === undefined) throw damaged('its end is missing');
  const { rows, sha256 } = trailer;
  if (sha256 !== sum.digest('hex')) throw damaged('its SHA-256 is not that of its end');
  if (TABLE_NAMES.some((table) => counts[table] !== rows[table])) throw damaged('rows are missing');
  return { header, trailer };
}

function requireSameVersion({ version, schema }: Header): void {
  if (version === FORMAT_VERSION && schema === SCHEMA_VERSION) return;
  const found = `format ${version}, tables ${schema}`;
  const known = `format ${FORMAT_VERSION}, tables ${SCHEMA_VERSION}`;
  throw new AppError('REFUSED', `the file of the catalogue is of another version (${found}) than this one (${known})`, {
    hint: 'Import it with the version that wrote it, then start the newer one on that database.',
  });
}

function damaged(why: string): AppError {
  return new AppError('DAMAGED', `the file of the catalogue is damaged: ${why}`, {
    hint: 'Export it again; nothing of this file was taken.',
  });
}
