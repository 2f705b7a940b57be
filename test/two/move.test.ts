/** A catalogue that began on SQLite goes on, on PostgreSQL. */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { systemClock } from '#common/clock.ts';
import { init } from '../../controller/cli/init.ts';
import { readLayout } from '../../controller/cli/init-layout.ts';
import { cli } from '../cli/fake-controller.ts';
import { freePort, startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import { daemon } from './pair.ts';

let server: TestServer;
let root: string;
beforeAll(async () => {
  server = await startServer();
  root = await mkdtemp(join(tmpdir(), 'holdfast-move-'));
});
afterAll(async () => {
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

const run = (...args: string[]) => execa(process.execPath, ['controller/main.ts', ...args], { reject: false, stdin: 'ignore' });

test('export and import carry everything over, and are refused while a controller leads', async () => {
  const directory = join(root, 'made');
  const controller = `127.0.0.1:${await freePort()}`;
  await init(readLayout({ directory, controller, active: 'mn1', node: [], dataPath: root, days: '1' }), systemClock.now());
  const sqlite = join(directory, 'controller', 'controller.yaml');
  const postgres = join(directory, 'controller', 'postgres.yaml');
  await server.sql('postgres', 'create database catalogue');
  const { port, passwordFile } = server;
  const catalogue = { postgres: { host: '127.0.0.1', port, user: 'postgres', database: 'catalogue', passwordFile } };
  // An agent that never comes is given up soon.
  const made = { ...(parse(await readFile(sqlite, 'utf8')) as object), lease: '3s', heartbeat: '1s', tick: '500ms' };
  await writeFile(sqlite, stringify(made));
  await writeFile(postgres, stringify({ ...made, catalogue }));
  const holdfast = async (...args: string[]) => {
    const { status, out, err } = await cli(args, { HOLDFAST_CONFIG: join(directory, 'admin', 'client.yaml') });
    expect(status, err).toBe(0);
    return out;
  };
  const lists = async () => [await holdfast('task', 'list', '--json'), await holdfast('run', 'list', '--json')];
  const file = join(root, 'catalogue.jsonl');

  for (const config of [sqlite, postgres]) {
    const early = await run('export', file, '--config', config);
    expect([early.exitCode, early.stderr]).toEqual([
      3,
      expect.stringMatching(/there is no catalogue in .*\nnext: Name the controller/),
    ]);
  }
  expect(await readdir(root), 'nothing was written').toEqual(['made']);
  expect(await readdir(join(directory, 'controller')), 'no catalogue was made').not.toContain('state');
  expect(await server.sql('catalogue', "select tablename from pg_tables where schemaname = 'public'")).toEqual([]);

  const first = daemon('controller', sqlite);
  first.start();
  let before: string[];
  try {
    await vi.waitFor(() => holdfast('task', 'list'), { timeout: 20_000, interval: 100 });
    for (const name of ['one', 'two']) await holdfast('task', 'create', name, '--source', 'OMS');
    await holdfast('task', 'run', 'one');
    await vi.waitFor(async () => expect(await holdfast('run', 'list', '--json')).toMatch(/"state": "(failed|skipped)"/), {
      timeout: 60_000,
      interval: 200,
    });
    before = await lists();
    const second = await run('--config', sqlite);
    expect([second.exitCode, second.stderr]).toEqual([4, expect.stringContaining('another controller works in')]);
    const refused = await run('export', file, '--config', sqlite);
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining('another controller works in')]);
    expect((await lists())[0], 'the first one still leads').toBe(before[0]);
  } finally {
    await first.end('SIGTERM');
  }

  const written = await run('export', file, '--config', sqlite);
  expect([written.exitCode, written.stderr]).toEqual([0, expect.stringMatching(/^wrote .*: 3 tasks, \d+ runs/)]);
  expect(await run('export', file, '--config', sqlite), 'never overwrites').toMatchObject({ exitCode: 4 });
  const taken = await run('import', file, '--config', postgres);
  expect([taken.exitCode, taken.stderr]).toEqual([0, expect.stringContaining('3 tasks')]);

  const next = daemon('controller', postgres);
  next.start();
  try {
    await vi.waitFor(() => holdfast('task', 'list'), { timeout: 20_000, interval: 100 });
    expect(await lists()).toEqual(before);
    for (const verb of ['export', 'import']) {
      const refused = await run(verb, verb === 'export' ? `${file}.2` : file, '--config', postgres);
      expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining('leads on the catalogue')]);
    }
  } finally {
    await next.end('SIGKILL');
  }

  await server.halt();
  try {
    const alone = await run('--config', postgres);
    expect([alone.exitCode, alone.stderr]).toEqual([6, expect.stringContaining('PostgreSQL')]);
  } finally {
    await server.begin();
  }
}, 120_000);
