/** A real PostgreSQL of the test's own: private directory, free port, SCRAM passwords. */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { findToolsDirectory } from '../../../agent/sources/postgres/tools.ts';

const run = promisify(execFile);

export interface TestServer {
  readonly port: number;
  /** Mode 600, with the superuser's password. */
  readonly passwordFile: string;
  readonly password: string;
  readonly directory: string;
  readonly tools: string;
  sql(database: string, ...statements: string[]): Promise<Record<string, unknown>[]>;
  client(database: string, user?: string, password?: string): Promise<Client>;
  /** The whole database as text: what a restore must bring back to the letter. */
  plainDump(database: string): Promise<string>;
  rolesDump(): Promise<string>;
  databases(): Promise<string[]>;
  /** As after a power cut, and up again. */
  halt(): Promise<void>;
  begin(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer(): Promise<TestServer> {
  const tools = await findToolsDirectory(undefined);
  if (tools === undefined) throw new Error('PostgreSQL is not installed below /usr/lib/postgresql');
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'));
  const password = 'Secret of:the\\server 5432';
  const passwordFile = join(directory, 'password');
  const data = join(directory, 'data');
  const port = await freePort();
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  const account = process.getuid?.() === 0 ? await postgresAccount() : undefined;
  const asServer = async (tool: string, args: string[]) => {
    const command = [join(tools, tool), ...args];
    const [first = '', ...rest] = account === undefined ? command : ['runuser', '-u', 'postgres', '--', ...command];
    // pg_ctl's server keeps the pipes open: its words go to a file.
    await run(first, rest, { cwd: directory });
  };
  if (account !== undefined) {
    await chown(directory, account.uid, account.gid);
    await chown(passwordFile, account.uid, account.gid);
  }
  await asServer('initdb', [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'scram-sha-256',
    `--pwfile=${passwordFile}`,
    '-E',
    'UTF8',
    '--no-locale',
    '-N',
  ]);
  const options = `-p ${port} -k '${directory}' -c listen_addresses=127.0.0.1 -c fsync=off -c max_prepared_transactions=4`;
  const log = ['-D', data, '-w', '-l', join(directory, 'log')];
  const ctl = (verb: 'start' | 'stop') =>
    asServer('pg_ctl', [...log, ...(verb === 'start' ? ['-o', options] : ['-m', 'immediate']), verb]);
  await ctl('start');

  const client = async (database: string, user = 'postgres', secret = password) => {
    const connected = new Client({ host: '127.0.0.1', port, user, password: secret, database });
    connected.on('error', () => {
      // Ended by the server: tests do that on purpose, and see it in the next query.
    });
    await connected.connect();
    return connected;
  };
  const sql = async (database: string, ...statements: string[]) => {
    const connected = await client(database);
    try {
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = (await connected.query<Record<string, unknown>>(statement)).rows;
      return rows;
    } finally {
      await connected.end();
    }
  };
  const text = async (tool: string, args: string[]) => {
    const env = { ...process.env, PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'postgres', PGPASSWORD: password };
    const { stdout } = await run(join(tools, tool), args, { env, maxBuffer: 256 * 1024 * 1024 });
    // Random in every dump.
    return stdout.replaceAll(/^\\(?:un)?restrict .*$/gm, '');
  };
  const signal = async (name: NodeJS.Signals) => {
    const [pid] = (await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(pid), name);
  };
  return {
    port,
    password,
    passwordFile,
    directory,
    tools,
    sql,
    client,
    plainDump: (database) => text('pg_dump', ['-C', '-d', `dbname='${database.replaceAll("'", String.raw`\'`)}'`]),
    rolesDump: () => text('pg_dumpall', ['--roles-only']),
    databases: async () =>
      (await sql('postgres', 'select datname from pg_database where not datistemplate order by 1')).map(({ datname }) =>
        String(datname),
      ),
    halt: () => ctl('stop'),
    begin: () => ctl('start'),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async stop() {
      await ctl('stop');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const probe = createServer();
  probe.on('error', reject);
  probe.listen(0, '127.0.0.1', () => {
    const address = probe.address();
    probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
  });
  return promise;
}

async function postgresAccount(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)));
  return { uid: uid ?? 0, gid: gid ?? 0 };
}
