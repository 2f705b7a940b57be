/** What commands print: tables for people, one JSON document for programs. */
import Table from 'cli-table3';
import { formatSize } from '#common/bytes.ts';
import { rfc3339 } from '#common/clock.ts';
import type { Json } from '#common/json.ts';
import type { Terminal } from './terminal.ts';

/** One document. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out.write(`${JSON.stringify(toJson(value), undefined, 2)}\n`);
}

/**
 * An answer of the API as JSON: integers of 64 bits are strings; a field `xMs` becomes `x`, in RFC 3339 or null when it has not
 * happened; what is not there is null, and the API tells that by an empty text.
 */
export function toJson(value: unknown): Json {
  if (value === '') return null;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null) return null;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]: [string, unknown]) =>
      key.endsWith('Ms') ? [key.slice(0, -2), typeof field === 'bigint' ? timeOrNull(field) : null] : [key, toJson(field)],
    ),
  );
}

function timeOrNull(ms: bigint): string | null {
  return ms === 0n ? null : dateTime(ms);
}

/** The last that a calendar has: an absurd time in one record must not keep the others from being shown. */
const LAST_MS = 8_640_000_000_000_000n;

function dateTime(ms: bigint): string {
  return rfc3339(Number(ms > LAST_MS ? LAST_MS : ms < -LAST_MS ? -LAST_MS : ms));
}

const BORDERS =
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle'.split(
    ' ',
  );

/** Without lines, so that it can be cut and searched. */
export function printTable(terminal: Terminal, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({
    head: head.map((name) => name.toUpperCase()),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(BORDERS.map((place) => [place, ''])),
  });
  table.push(...rows.map((row) => [...row]));
  terminal.out.write(`${trimLines(table.toString())}\n`);
}

/** Name and value, one a line; empty values are left out. */
export function printFields(terminal: Terminal, fields: readonly (readonly [string, string])[]): void {
  const shown = fields.filter(([, value]) => value !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) terminal.out.write(`${name.padEnd(width)}  ${value}\n`);
}

export function printLines(terminal: Terminal, lines: readonly string[]): void {
  for (const line of lines) terminal.out.write(`${line}\n`);
}

/** A time, or `-` when it has not happened. */
export function time(ms: bigint): string {
  return ms === 0n ? '-' : dateTime(ms - (ms % 1000n));
}

export function size(bytes: bigint): string {
  return formatSize(bytes);
}

/** "1h 02m 03s" */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours > 0) return `${hours}h ${two(minutes)}m ${two(whole % 60)}s`;
  return minutes > 0 ? `${minutes}m ${two(whole % 60)}s` : `${whole}s`;
}

/** `RUN_STATE_FAILED` → `failed`: a word of an enum of the API. A value of a newer controller is `unknown`. */
export function word(names: Readonly<Record<string, string | number>>, value: number, prefix: string): string {
  const name = Object.keys(names).find((key) => names[key] === value && key.startsWith(prefix));
  const short = name?.slice(prefix.length).toLowerCase().replaceAll('_', ' ') ?? 'unspecified';
  return short === 'unspecified' ? 'unknown' : short;
}

function trimLines(text: string): string {
  return text.replaceAll(/[ \t]+$/gm, '');
}
