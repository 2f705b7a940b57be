/** The names that a restore gives: to the database in making, to the one replaced, and to directories in the archive. */
import { createHash } from 'node:crypto';
import { NAME_MAX_BYTES } from './settings.ts';

/** `<database>_holdfast_new_<time>`, `<database>_holdfast_old_<time>`; a database name too long for that is cut, with its hash. */
export function besideName(database: string, kind: 'new' | 'old', time: string): string {
  return `${stem(database)}_holdfast_${kind}_${time}`;
}

/** Whether `name` is what besideName gave for `database` at some time. */
export function isBesideName(name: string, database: string, kind: 'new' | 'old'): boolean {
  const prefix = `${stem(database)}_holdfast_${kind}_`;
  return name.startsWith(prefix) && /^\d{14}$/.test(name.slice(prefix.length));
}

function stem(database: string): string {
  const room = NAME_MAX_BYTES - Buffer.byteLength('_holdfast_new_yyyyMMddHHmmss');
  if (Buffer.byteLength(database) <= room) return database;
  const hash = createHash('sha256').update(database).digest('hex').slice(0, 8);
  const characters = Array.from(database);
  while (Buffer.byteLength(characters.join('')) > room - hash.length - 1) characters.pop();
  return `${characters.join('')}_${hash}`;
}

/** A database name may hold "/" and ".."; a directory of the archive may not. */
export function directoryName(database: string): string {
  return encodeURIComponent(database).replaceAll(/[.!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
