/** One PostgreSQL server, spoken to through its own tools. The password goes to them in the environment only. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { readSecret } from '#common/secrets.ts';
import { runTool } from '../../tool.ts';
import type { ToolResult } from '../../tool.ts';
import { connectionString } from './quote.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { findToolsDirectory, toolPath, toolVersion as askVersion } from './tools.ts';
import type { PostgresTool, ToolVersion } from './tools.ts';

/** By which our sessions are known to the server. */
export const APPLICATION_NAME = 'holdfast';
const EVERY_STATUS = Array.from({ length: 256 }, (_, status) => status);
/** psql's exit status when the connection could not be made or went bad. */
const NO_CONNECTION = 2;
/** Seconds until a server that does not answer counts as down. */
const CONNECT_TIMEOUT_S = 15;
/** A table locked by a schema change for longer than this fails what needs it with its name, instead of using up the time-out. */
export const LOCK_WAIT_MS = 600_000;
/** Not for the other tools: a dump keeps its database's encoding, and SQL_ASCII holds bytes that are no UTF-8. */
const PSQL_ENVIRONMENT = {
  PGCLIENTENCODING: 'UTF8',
  // A limit set for the role would end the counting of a large table. What users of a database put on its search path
  // would run in place of the functions called here, with the rights of the superuser.
  PGOPTIONS: `-c search_path=pg_catalog -c lock_timeout=${LOCK_WAIT_MS} -c statement_timeout=0`,
};
/** Of a tool's own words, enough for the reason and not for the data it stumbled over. */
const REASON_LENGTH = 600;

const serverSchema = z.object({
  versionNumber: z.int(),
  version: z.string(),
  superuser: z.boolean(),
  standby: z.boolean(),
});

const databasesSchema = z.array(z.object({ name: z.string(), oid: z.int(), allowsConnections: z.boolean(), owner: z.string() }));
export type DatabaseEntry = z.infer<typeof databasesSchema>[number];

export interface PostgresServer {
  /** "127.0.0.1:5432" */
  readonly address: string;
  readonly user: string;
  readonly major: number;
  readonly version: string;
  readonly superuser: boolean;
  readonly standby: boolean;
  readonly maintenanceDatabase: string;
  /** The one JSON value that `sql` selects. @throws AppError UNAVAILABLE, TOOL, TIMEOUT, STOPPED */
  query<T>(database: string, doing: string, sql: string, schema: z.ZodType<T>): Promise<T>;
  /** Statements, each in a transaction of its own; the first failure ends them. @throws as query */
  execute(database: string, doing: string, statements: readonly string[]): Promise<void>;
  /** A tool with its database given as a connection string behind `-d`. @throws as query */
  run(tool: PostgresTool, doing: string, args: readonly string[], database?: string): Promise<ToolResult>;
  toolVersion(tool: PostgresTool): Promise<ToolVersion>;
  /** Every database by name. */
  databases(): Promise<ReadonlyMap<string, DatabaseEntry>>;
  /** The same server under another signal: what must be undone is undone although the run was stopped. */
  under(signal: AbortSignal): PostgresServer;
}

/** @throws AppError INVALID or NOT_FOUND (password file), UNAVAILABLE (server), UNAUTHENTICATED (refused), TOOL (psql). */
export async function openServer(settings: PostgresSourceSettings, signal: AbortSignal): Promise<PostgresServer> {
  const { connection } = settings;
  const password = await readSecret(connection.passwordFile);
  const address = `${connection.host}:${connection.port}`;
  let directory = settings.toolsDirectory ?? (await findToolsDirectory(undefined));

  async function runAny(
    on: AbortSignal,
    tool: PostgresTool,
    doing: string,
    args: readonly string[],
    database: string | undefined,
    input?: string,
  ): Promise<ToolResult> {
    return runTool({
      doing,
      command: toolPath(directory, tool),
      args: database === undefined ? args : [...args, '-d', connectionString(database)],
      env: {
        PGHOST: connection.host,
        PGPORT: String(connection.port),
        PGUSER: connection.user,
        PGPASSWORD: password,
        PGCONNECT_TIMEOUT: String(CONNECT_TIMEOUT_S),
        PGAPPNAME: APPLICATION_NAME,
        ...(tool === 'psql' ? PSQL_ENVIRONMENT : {}),
      },
      ...(input === undefined ? {} : { input }),
      timeoutMs: settings.timeoutMs,
      accept: EVERY_STATUS,
      signal: on,
    });
  }

  const reasonOf = (result: ToolResult): string => {
    const words = condense(result.stderr).replaceAll(password === '' ? '\0' : password, '***');
    return words === '' ? `exit status ${result.exitCode}` : words;
  };

  /** Asked by exit status, not by reading messages, which come in the server's language. */
  async function explain(
    on: AbortSignal,
    tool: PostgresTool,
    doing: string,
    result: ToolResult,
    first: boolean,
  ): Promise<AppError> {
    const reason = reasonOf(result);
    const ready = await runAny(on, 'pg_isready', doing, ['-q', '-t', '5'], undefined);
    if (ready.exitCode !== 0) {
      const state = ready.exitCode === 1 ? 'is starting or shutting down' : 'does not answer';
      return new AppError('UNAVAILABLE', `${doing}: the PostgreSQL server at ${address} ${state}: ${reason}`, {
        hint: `Start the PostgreSQL server at ${address} and read its log, then run it again.`,
      });
    }
    if (first && result.exitCode === NO_CONNECTION) {
      return new AppError(
        'UNAUTHENTICATED',
        `${doing}: the PostgreSQL server at ${address} does not let the user ${connection.user} in: ${reason}`,
        {
          hint: `Check the user, the password in ${connection.passwordFile}, and pg_hba.conf of the server.`,
        },
      );
    }
    return new AppError('TOOL', `${doing}: ${tool} failed: ${reason}`);
  }

  async function psql(on: AbortSignal, database: string, doing: string, sql: string, first = false): Promise<string> {
    const args = ['-X', '-A', '-t', '-q', '-w', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=terse', '-f', '-'];
    const result = await runAny(on, 'psql', doing, args, database, sql);
    if (result.exitCode !== 0) throw await explain(on, 'psql', doing, result, first);
    return result.stdout;
  }

  const parse = <T>(doing: string, output: string, schema: z.ZodType<T>): T => {
    const parsed = schema.safeParse(output.trim() === '' ? null : JSON.parse(output));
    if (parsed.success) return parsed.data;
    throw new AppError('TOOL', `${doing}: the server's answer is not as expected: ${z.prettifyError(parsed.error)}`);
  };

  const doing = `connect to PostgreSQL at ${address}`;
  const facts = parse(
    doing,
    await psql(
      signal,
      connection.maintenanceDatabase,
      doing,
      `select json_build_object('versionNumber', current_setting('server_version_num')::int,
        'version', current_setting('server_version'), 'standby', pg_is_in_recovery(),
        'superuser', (select rolsuper from pg_roles where rolname = current_user));`,
      true,
    ),
    serverSchema,
  );
  const major = Math.floor(facts.versionNumber / 10_000);
  directory = settings.toolsDirectory ?? (await findToolsDirectory(major));

  const databases = async (on: AbortSignal): Promise<ReadonlyMap<string, DatabaseEntry>> => {
    const what = `list the databases of PostgreSQL at ${address}`;
    const sql = `select json_agg(json_build_object('name', datname, 'oid', oid::bigint,
      'allowsConnections', datallowconn, 'owner', pg_get_userbyid(datdba))) from pg_database;`;
    const list = parse(what, await psql(on, connection.maintenanceDatabase, what, sql), databasesSchema);
    return new Map(list.map((entry) => [entry.name, entry]));
  };

  const under = (on: AbortSignal): PostgresServer => ({
    address,
    user: connection.user,
    major,
    version: facts.version,
    superuser: facts.superuser,
    standby: facts.standby,
    maintenanceDatabase: connection.maintenanceDatabase,
    query: async (database, what, sql, schema) => parse(what, await psql(on, database, what, sql), schema),
    execute: async (database, what, statements) => {
      if (statements.length > 0) await psql(on, database, what, statements.map((sql) => `${sql};\n`).join(''));
    },
    run: async (tool, what, args, database) => {
      const result = await runAny(on, tool, what, args, database);
      if (result.exitCode !== 0) throw await explain(on, tool, what, result, false);
      return result;
    },
    toolVersion: (tool) => askVersion(toolPath(directory, tool), on),
    databases: () => databases(on),
    under,
  });
  return under(signal);
}

/** The lines before the tool goes on to quote statements and rows: those may hold anything. */
function condense(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const end = lines.findIndex((line) => /^(?:(?:Command|Query) was|CONTEXT|LINE \d+|STATEMENT|DETAIL|QUERY):/.test(line));
  const kept = (end === -1 ? lines : lines.slice(0, end)).filter((line) => line !== '');
  return kept.join('; ').slice(-REASON_LENGTH);
}
