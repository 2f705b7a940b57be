/**
 * Names on disk. The same on every target:
 *
 *   <task>_<task creation time>/
 *     <source>_<run start>/
 *       <version>_<source>_<run start>.tar.zst     the archive
 *       <version>_<source>_<run start>.index.zst   where each file lies in the archive
 *       manifest.json                              written last: with it the backup file exists
 */
import { diskTime } from './clock.ts';
import { AppError } from './errors.ts';

/** The data sources, by the names that users, the catalogue and the disk use. */
export const SOURCE_NAMES = ['OMS', 'LdapServer', 'DBService', 'NameNode'] as const;
export type SourceName = (typeof SOURCE_NAMES)[number];

export function isSourceName(text: string): text is SourceName {
  return (SOURCE_NAMES as readonly string[]).includes(text);
}

export interface BackupFileKeys {
  /** The prefix of all of them, ending in '/': what a grant of one source's run opens. */
  readonly prefix: string;
  readonly archive: string;
  readonly index: string;
  readonly manifest: string;
}

/** `task` is checked at creation of the task; it is checked again here because it becomes a path. */
export function backupFileKeys(of: {
  task: string;
  taskCreatedMs: number;
  source: SourceName;
  runStartedMs: number;
  version: string;
}): BackupFileKeys {
  const started = diskTime(of.runStartedMs);
  const prefix = `${taskDirectory(of.task, of.taskCreatedMs)}${of.source}_${started}/`;
  const base = `${prefix}${of.version}_${of.source}_${started}`;
  const keys = { prefix, archive: `${base}.tar.zst`, index: `${base}.index.zst`, manifest: `${prefix}manifest.json` };
  requireKey(keys.archive);
  return keys;
}

/** `<task>_<task creation time>/` */
export function taskDirectory(task: string, createdMs: number): string {
  return `${task}_${diskTime(createdMs)}/`;
}

const KEY_PART = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/;

/** A key is what a target stores a file under: parts of letters, digits, `_`, `.`, `-` joined by single slashes; never leading out. */
export function isKey(key: string): boolean {
  return key.length <= 800 && key.split('/').every((part) => KEY_PART.test(part));
}

export function requireKey(key: string): void {
  if (!isKey(key)) throw new AppError('INVALID', `the name ${JSON.stringify(key)} cannot stand on a target`);
}
