/** The parts of the agent's configuration that every PostgreSQL source shares. */
import { z } from 'zod';

/** The dump time-out of the product this one is modelled on: 2 h. */
export const DEFAULT_TIMEOUT_MS = 7_200_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "2h", "90 m", "30s", or a number of seconds; milliseconds inside. */
export const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*$/.exec(typeof value === 'number' ? `${value}s` : value);
  const ms = Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? Number.NaN);
  // AbortSignal.timeout takes no more than 2^31 - 1 ms (24.8 days).
  if (ms >= 1 && ms < 2 ** 31) return Math.round(ms);
  context.addIssue(`${JSON.stringify(value)} is not a duration: write it like "2h", "90m" or "30s", at most 24 days`);
  return z.NEVER;
});

export const absolutePath = z
  .string()
  .regex(/^\/[^\0]*$/, 'must be an absolute path')
  .refine((path) => !path.split('/').includes('..'), 'must not contain ".."');

/** PostgreSQL cuts longer names silently (NAMEDATALEN), and then the wrong database would be meant. */
export const NAME_MAX_BYTES = 63;

export function databaseNameFault(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (Buffer.byteLength(name) > NAME_MAX_BYTES) return `is longer than ${NAME_MAX_BYTES} bytes`;
  if (/\p{Cc}/u.test(name)) return 'contains a control character';
  if (['postgres', 'template0', 'template1'].includes(name)) return "is one of PostgreSQL's own databases";
  return undefined;
}

export const databaseName = z.string().superRefine((name, context) => {
  const fault = databaseNameFault(name);
  if (fault !== undefined) context.addIssue(`the database name ${JSON.stringify(name)} ${fault}`);
});

export const connectionShape = {
  /** A host name, an address, or the directory of a Unix socket. */
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).default(5432),
  user: z.string().min(1),
  /** Holds the password; mode 600. */
  passwordFile: absolutePath,
  /** A database that is always there; used to create, rename and drop the others. */
  maintenanceDatabase: z.string().min(1).default('postgres'),
};

export const toolShape = {
  /** Parallel jobs of pg_dump and pg_restore. */
  jobs: z.int().min(1).max(64).default(2),
  /** Of each single tool that is run. */
  timeout: duration.default(DEFAULT_TIMEOUT_MS),
  /** Where pg_dump, pg_restore and psql are; default: those of the server's version, else the newest installed, else PATH. */
  toolsDirectory: absolutePath.optional(),
};

export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly passwordFile: string;
  readonly maintenanceDatabase: string;
}

/** What a PostgreSQL source is made of; OMS and DBService translate their settings into this. */
export interface PostgresSourceSettings {
  readonly connection: Connection;
  readonly databases: readonly string[];
  /** `schema.table` patterns of tables whose data are left out. */
  readonly excludeDataOf: readonly string[];
  /** Absolute paths kept beside the databases. */
  readonly configuration: readonly string[];
  readonly jobs: number;
  readonly timeoutMs: number;
  readonly toolsDirectory: string | undefined;
  /** Commands that stop and start what depends on the databases. */
  readonly beforeRestore: readonly (readonly string[])[];
  readonly afterRestore: readonly (readonly string[])[];
}
