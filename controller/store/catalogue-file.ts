/**
 * The catalogue as a file: JSON lines. First a header, then every row of every table, last a trailer with the number of rows of each
 * and the SHA-256 of all lines before it. A file without its trailer, or not of its sum, is refused whole.
 */
import { z } from 'zod';
import type { Schema } from './schema.ts';

export const FORMAT = 'holdfast-catalogue';
export const FORMAT_VERSION = 1;

export type TableName = Exclude<keyof Schema, 'leadership'>;

/** In the order of writing; the columns that order the rows of each, and tell them apart. */
export const TABLES: Readonly<Record<TableName, readonly string[]>> = {
  tasks: ['name'],
  runs: ['seq'],
  log: ['seq'],
  sets: ['seq'],
  restores: ['name'],
  alarms: ['seq'],
  alarm_delivery: ['seq'],
  agents: ['node'],
  space_samples: ['node', 'time_ms'],
  leftovers: ['run', 'prefix'],
  answers: ['request'],
  audit: ['seq'],
  claims: ['name'],
};
export const TABLE_NAMES = Object.keys(TABLES) as readonly TableName[];
/** Whose rows the database numbers. */
export const NUMBERED_TABLES = TABLE_NAMES.filter((table) => TABLES[table].includes('seq'));

export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, Value>>;

const headerSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.int(),
  /** Of the tables. */
  schema: z.int(),
  /** Of the last leader: terms never go back. */
  term: z.int().min(0),
});
const rowSchema = z.strictObject({
  table: z.enum(TABLE_NAMES),
  row: z.record(z.string().regex(/^[a-z_]+$/), z.union([z.string(), z.int(), z.null(), z.strictObject({ base64: z.base64() })])),
});
const trailerSchema = z.strictObject({ rows: z.record(z.string(), z.int()), sha256: z.string() });

/** Of each table. */
export type RowCounts = Readonly<Record<string, number>>;

export type Header = z.infer<typeof headerSchema>;
export type Trailer = z.infer<typeof trailerSchema>;
export type Line =
  | { readonly kind: 'header'; readonly header: Header }
  | { readonly kind: 'row'; readonly table: TableName; readonly row: Row }
  | { readonly kind: 'trailer'; readonly trailer: Trailer };

export function headerLine(header: Omit<Header, 'format' | 'version'>): string {
  return `${JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, ...header })}\n`;
}

export function rowLine(table: TableName, row: Row): string {
  const values = Object.entries(row).map(([column, value]) => [
    column,
    value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value,
  ]);
  return `${JSON.stringify({ table, row: Object.fromEntries(values) as unknown })}\n`;
}

export function trailerLine(trailer: Trailer): string {
  return `${JSON.stringify(trailer)}\n`;
}

/** undefined: it is none of ours. */
export function parseLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  // Nearly every line is a row.
  const row = rowSchema.safeParse(value);
  if (row.success) return { kind: 'row', table: row.data.table, row: rowOf(row.data.row) };
  const header = headerSchema.safeParse(value);
  if (header.success) return { kind: 'header', header: header.data };
  const trailer = trailerSchema.safeParse(value);
  return trailer.success ? { kind: 'trailer', trailer: trailer.data } : undefined;
}

function rowOf(values: z.infer<typeof rowSchema>['row']): Row {
  const entries = Object.entries(values).map(([column, value]): [string, Value] => [
    column,
    typeof value === 'object' && value !== null ? Buffer.from(value.base64, 'base64') : value,
  ]);
  return Object.fromEntries(entries);
}
