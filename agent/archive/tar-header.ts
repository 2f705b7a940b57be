/**
 * tar headers, byte by byte: the POSIX (pax) format that GNU tar and bsdtar read. Names stay bytes, since a file name on Linux need
 * not be UTF-8. npm's `tar` has these too, but as strings, and too slow for 70,000 files a second.
 */
import { AppError } from '#common/errors.ts';

export const BLOCK = 512;

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink';

export interface TarEntry {
  /** Relative, '/' between parts, none at the end. */
  readonly path: Buffer;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  /** Of links. */
  readonly link: Buffer | undefined;
  readonly xattrs: readonly Xattr[];
}

export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

const FLAGS = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const satisfies Record<EntryType, string>;
/** 11 octal digits; more goes into a pax record. */
const LARGEST_OCTAL_SIZE = 8n ** 11n - 1n;
const LARGEST_ID = 8 ** 7 - 1;
const NS = 1_000_000_000n;

/** The header blocks of an entry: a pax header first when the plain one cannot hold all of it. `exactTime`: nanoseconds too. */
export function encodeEntry(entry: TarEntry, exactTime: boolean): Buffer {
  const name = entry.type === 'directory' ? Buffer.concat([entry.path, SLASH]) : entry.path;
  const records = paxRecords(entry, name, exactTime);
  const plain = header(name, FLAGS[entry.type], entry, entry.size);
  if (records.length === 0) return plain;
  const body = Buffer.concat(records);
  const padding = Buffer.alloc(-body.length & (BLOCK - 1));
  return Buffer.concat([header(PAX_NAME, 'x', { ...entry, link: undefined }, BigInt(body.length)), body, padding, plain]);
}

const SLASH = Buffer.from('/');
const PAX_NAME = Buffer.from('PaxHeader');

function paxRecords(entry: TarEntry, name: Buffer, exactTime: boolean): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: Uint8Array) => records.push(paxRecord(key, value));
  if (name.length > 100) add('path', name);
  if (entry.link !== undefined && entry.link.length > 100) add('linkpath', entry.link);
  if (records.length > 0 && !(isUtf8(name) && isUtf8(entry.link ?? SLASH)))
    records.unshift(paxRecord('hdrcharset', Buffer.from('BINARY')));
  if (entry.size > LARGEST_OCTAL_SIZE) add('size', Buffer.from(String(entry.size)));
  if (entry.uid > LARGEST_ID) add('uid', Buffer.from(String(entry.uid)));
  if (entry.gid > LARGEST_ID) add('gid', Buffer.from(String(entry.gid)));
  if ((exactTime && entry.mtimeNs % NS !== 0n) || entry.mtimeNs < 0n) add('mtime', Buffer.from(decimalSeconds(entry.mtimeNs)));
  for (const { name: key, value } of entry.xattrs) add(`SCHILY.xattr.${key}`, value);
  return records;
}

/** "<length> <key>=<value>\n", the length counting itself. */
function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function header(
  name: Buffer,
  flag: string,
  entry: Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtimeNs' | 'link'>,
  size: bigint,
): Buffer {
  const block = Buffer.alloc(BLOCK);
  name.copy(block, 0, 0, Math.min(name.length, 100));
  octal(block, 100, 8, entry.mode & 0o7777);
  octal(block, 108, 8, Math.min(entry.uid, LARGEST_ID));
  octal(block, 116, 8, Math.min(entry.gid, LARGEST_ID));
  octal(block, 124, 12, Number(size > LARGEST_OCTAL_SIZE ? 0n : size));
  octal(block, 136, 12, Number(entry.mtimeNs < 0n ? 0n : entry.mtimeNs / NS));
  block.fill(' ', 148, 156);
  block.write(flag, 156, 'latin1');
  entry.link?.copy(block, 157, 0, Math.min(entry.link.length, 100));
  block.write('ustar\u{0}00', 257, 'latin1');
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\u{0} `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, at: number, width: number, value: number): void {
  block.write(value.toString(8).padStart(width - 1, '0'), at, width - 1, 'latin1');
}

/** The sum of all bytes, the checksum's own field counting as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 8 * 32;
  for (let i = 0; i < 148; i++) sum += block[i] as number;
  for (let i = 156; i < BLOCK; i++) sum += block[i] as number;
  return sum;
}

function decimalSeconds(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const absolute = ns < 0n ? -ns : ns;
  return `${sign}${absolute / NS}.${String(absolute % NS).padStart(9, '0')}`;
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes);
}

/** A plain header as it stands, its pax records not yet applied. `flag` 'x' announces such records. */
export interface RawHeader {
  readonly name: Buffer;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly link: Buffer;
}

/** undefined: a block of zeros, which ends the archive. @throws AppError DAMAGED */
export function decodeHeader(block: Buffer): RawHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  if (readOctal(block, 148, 8) !== BigInt(checksum(block))) throw damaged('a header whose checksum is wrong');
  if (block.toString('latin1', 257, 262) !== 'ustar') throw damaged('a header that is not of the format');
  return {
    name: untilZero(block.subarray(0, 100)),
    flag: block.toString('latin1', 156, 157),
    mode: Number(readOctal(block, 100, 8)),
    uid: Number(readOctal(block, 108, 8)),
    gid: Number(readOctal(block, 116, 8)),
    size: readOctal(block, 124, 12),
    mtimeNs: readOctal(block, 136, 12) * NS,
    link: untilZero(block.subarray(157, 257)),
  };
}

export function damaged(what: string): AppError {
  return new AppError('DAMAGED', `the archive holds ${what}`);
}

function readOctal(block: Buffer, at: number, width: number): bigint {
  const text = block
    .toString('latin1', at, at + width)
    .replaceAll('\u{0}', ' ')
    .trim();
  if (!/^[0-7]{1,12}$/.test(text)) throw damaged('a header with a number that is none');
  return BigInt(`0o${text}`);
}

function untilZero(field: Buffer): Buffer {
  const zero = field.indexOf(0);
  return Buffer.from(zero === -1 ? field : field.subarray(0, zero));
}

/** Applies the records of a pax header to the plain one that follows it. @throws AppError DAMAGED */
export function applyPax(raw: RawHeader, pax: ReadonlyMap<string, Buffer>): RawHeader & { xattrs: Xattr[] } {
  const number = (key: string) => {
    const value = pax.get(key)?.toString('latin1');
    if (value !== undefined && !/^\d{1,19}$/.test(value)) throw damaged(`a ${key} that is no number`);
    return value === undefined ? undefined : BigInt(value);
  };
  return {
    ...raw,
    name: pax.get('path') ?? raw.name,
    link: pax.get('linkpath') ?? raw.link,
    size: number('size') ?? raw.size,
    uid: Number(number('uid') ?? raw.uid),
    gid: Number(number('gid') ?? raw.gid),
    mtimeNs: pax.has('mtime') ? nanoseconds(pax.get('mtime')?.toString('latin1') ?? '') : raw.mtimeNs,
    xattrs: [...pax].flatMap(([key, value]) =>
      key.startsWith('SCHILY.xattr.') ? [{ name: key.slice('SCHILY.xattr.'.length), value }] : [],
    ),
  };
}

function nanoseconds(text: string): bigint {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?\d*$/.exec(text);
  if (match?.[2] === undefined) throw damaged('a time that is none');
  const absolute = BigInt(match[2]) * NS + BigInt((match[3] ?? '').padEnd(9, '0'));
  return match[1] === '-' ? -absolute : absolute;
}

/** @throws AppError DAMAGED */
export function decodePax(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(body.toString('latin1', at, space));
    const end = at + length;
    const equals = body.indexOf(0x3d, space);
    if (!Number.isSafeInteger(length) || end > body.length || equals === -1 || equals >= end || body[end - 1] !== 0x0a) {
      throw damaged('a pax header that cannot be read');
    }
    records.set(body.toString('utf8', space + 1, equals), Buffer.from(body.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}
