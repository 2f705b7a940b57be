import { execFile } from 'node:child_process';
import { chmod, readFile, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { omsSettingsSchema } from '../../../agent/sources/oms.ts';
import { dbServiceSettingsSchema } from '../../../agent/sources/db-service.ts';
import {
  Scratch,
  backUp,
  dbServiceSource,
  dropDatabase,
  makeConfiguration,
  makeDatabase,
  omsSource,
  restore,
} from './fixture.ts';
import { freePort, startServer } from './server.ts';
import type { TestServer } from './server.ts';

const run = promisify(execFile);
let server: TestServer;
const scratch = new Scratch();

beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server?.stop();
  await scratch.remove();
});
beforeEach(async () => {
  await makeDatabase(server);
});
afterEach(async () => {
  await dropDatabase(server);
});

/** The real tools, some of them replaced by shell scripts in which REAL is the real one. */
async function toolsWith(scripts: Record<string, string>): Promise<string> {
  const directory = await scratch.directory();
  for (const tool of ['psql', 'pg_dump', 'pg_restore', 'pg_isready']) {
    const script = scripts[tool];
    const path = join(directory, tool);
    if (script === undefined) await symlink(join(server.tools, tool), path);
    else {
      await writeFile(path, `#!/bin/sh\n${script.replaceAll('REAL', join(server.tools, tool))}\n`);
      await chmod(path, 0o755);
    }
  }
  return directory;
}

async function failure(work: Promise<unknown>): Promise<{ code: string; message: string; hint: string }> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({ name: 'AppError' });
  return error as { code: string; message: string; hint: string };
}

async function processes(pattern: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'args']);
  return stdout.split('\n').filter((line) => line.includes(pattern));
}

async function until(what: () => Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  while (!(await what())) await systemClock.sleep(20, signal);
}

describe('a backup fails with the reason and the next step when', () => {
  it('the password is wrong', async () => {
    const passwordFile = join(await scratch.directory(), 'wrong');
    await writeFile(passwordFile, 'not this one', { mode: 0o600 });
    const error = await failure(backUp(omsSource(server, {}, { passwordFile }), scratch));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(error.message).toContain('does not let the user postgres in');
    expect(error.hint).toContain(passwordFile);
    expect(JSON.stringify(error)).not.toContain('not this one');
  });

  it('the password file can be read by others', async () => {
    const passwordFile = join(await scratch.directory(), 'open');
    await writeFile(passwordFile, server.password, { mode: 0o644 });
    const error = await failure(backUp(omsSource(server, {}, { passwordFile }), scratch));
    expect(error).toMatchObject({ code: 'INVALID', hint: `Run: chmod 600 ${passwordFile}` });
  });

  it('the server is down', async () => {
    const port = await freePort();
    const error = await failure(backUp(omsSource(server, {}, { port }), scratch));
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).toContain(`127.0.0.1:${port} does not answer`);
  });

  it('the server hangs', async () => {
    await server.pause();
    try {
      const error = await failure(backUp(omsSource(server, { timeout: '2s' }), scratch));
      expect(error.code).toBe('TIMEOUT');
    } finally {
      await server.resume();
    }
  });

  it('the database does not exist', async () => {
    const error = await failure(backUp(omsSource(server, {}, { name: 'gone' }), scratch));
    expect(error.code).toBe('NOT_FOUND');
    expect(error.message).toContain('back up "gone": no such database');
  });

  it('a configuration path is a symbolic link to what is not backed up: only the link would be kept', async () => {
    const base = await scratch.directory();
    const [link, real] = [join(base, 'current'), join(base, 'conf-1.2')];
    await makeConfiguration(real);
    await symlink('conf-1.2', link);
    const error = await failure(backUp(omsSource(server, { configuration: [link] }), scratch));
    expect(error).toMatchObject({ code: 'INVALID' });
    expect(error.message).toContain(`${link}: it is a symbolic link`);
    expect(error.hint).toContain(real);
    // Together with what it points to it is.
    await backUp(omsSource(server, { configuration: [link, real] }), scratch);
  });

  it('a database is asked for that is not configured', async () => {
    const error = await failure(backUp(dbServiceSource(server, ['oms']), scratch, undefined, ['postgres']));
    expect(error).toMatchObject({ code: 'INVALID', hint: 'Configured are "oms".' });
  });

  it('a configuration path does not exist', async () => {
    const error = await failure(backUp(omsSource(server, { configuration: ['/nonexistent/oms'] }), scratch));
    expect(error).toMatchObject({ code: 'NOT_FOUND', message: 'back up the configuration /nonexistent/oms: it does not exist' });
  });

  it('the tools are missing', async () => {
    const toolsDirectory = await scratch.directory();
    const error = await failure(backUp(omsSource(server, { toolsDirectory }), scratch));
    expect(error.code).toBe('TOOL');
    expect(error.message).toContain(`${toolsDirectory}/psql is not installed`);
  });

  it('pg_dump is older than the server', async () => {
    // No second version is installed: a script says it is PostgreSQL 9.6, and only that is asked of it.
    const toolsDirectory = await toolsWith({ pg_dump: 'echo "pg_dump (PostgreSQL) 9.6.24"' });
    const error = await failure(backUp(omsSource(server, { toolsDirectory }), scratch));
    expect(error.code).toBe('REFUSED');
    expect(error.message).toMatch(/pg_dump is of version 9\.6\.24 and the server of version \d+\.\d+/);
  });

  it('pg_dump dies in mid-dump', async () => {
    const toolsDirectory = await toolsWith({ pg_dump: '[ "$1" = --version ] && exec REAL "$@"; kill -KILL $$' });
    const error = await failure(backUp(omsSource(server, { toolsDirectory }), scratch));
    expect(error.code).toBe('TOOL');
    expect(error.message).toContain('dump the database oms: ');
    expect(error.message).toContain('was killed by SIGKILL');
  });

  it('the server ends the dump in its middle', async () => {
    await server.sql('oms', 'CREATE TABLE public.slow AS SELECT 1 AS n');
    const marks = await scratch.directory();
    const toolsDirectory = await toolsWith({
      pg_dump: `[ "$1" = --version ] && exec REAL "$@"
touch ${marks}/begun; while [ ! -e ${marks}/go ]; do sleep 0.05; done; exec REAL "$@"`,
    });
    const backup = failure(backUp(omsSource(server, { toolsDirectory }), scratch));
    await until(async () => (await readdir(marks)).includes('begun'));
    // Its lock holds the dump at that table until its session is ended.
    const locker = await server.client('oms');
    await locker.query('BEGIN');
    await locker.query('LOCK TABLE public.slow');
    await writeFile(join(marks, 'go'), '');
    const dumping = `select pid from pg_stat_activity where datname = 'oms' and wait_event_type = 'Lock'`;
    await until(async () => (await server.sql('postgres', dumping)).length > 0);
    await server.sql('postgres', `select pg_terminate_backend(pid) from (${dumping}) waiting`);
    const error = await backup;
    await locker.end();
    expect(error.code).toBe('TOOL');
    expect(error.message).toContain('dump the database oms: pg_dump failed: ');
  });

  it('pg_dump hangs: the time-out kills it with its children', async () => {
    const toolsDirectory = await toolsWith({
      pg_dump: '[ "$1" = --version ] && exec REAL "$@"; sleep 4242 & wait',
    });
    const error = await failure(backUp(omsSource(server, { toolsDirectory, timeout: '1500ms' }), scratch));
    expect(error.code).toBe('TIMEOUT');
    expect(error.message).toContain('did not end within 1500 ms');
    expect(await processes('sleep 4242')).toEqual([]);
  });

  it('the spool has no room for the dump', async () => {
    const io = await scratch.io();
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'holdfast-test', io.workDirectory]);
    try {
      const error = await failure(backUp(omsSource(server), scratch, io));
      expect(error.code).toBe('NO_SPACE');
      expect(error.message).toContain(`dump into ${io.workDirectory}: 65.5 KB are free there`);
    } finally {
      await run('umount', [io.workDirectory]);
    }
  });

  it('the spool is full before the dump ends: what compresses well is larger there than in the database', async () => {
    await server.sql('oms', `CREATE TABLE public.wide AS SELECT n, repeat('x', 1000000) AS t FROM generate_series(1, 60) n`);
    const io = await scratch.io();
    await run('mount', ['-t', 'tmpfs', '-o', 'size=30m', 'holdfast-test', io.workDirectory]);
    try {
      const error = await failure(backUp(omsSource(server), scratch, io));
      expect(error.code).toBe('NO_SPACE');
      expect(error.message).toContain(`${io.workDirectory} is full`);
    } finally {
      await run('umount', [io.workDirectory]);
    }
  });

  it('it is stopped', async () => {
    const toolsDirectory = await toolsWith({ pg_dump: '[ "$1" = --version ] && exec REAL "$@"; sleep 4343 & wait' });
    const io = await scratch.io();
    const backup = failure(backUp(omsSource(server, { toolsDirectory }), scratch, io));
    await until(async () => (await processes('sleep 4343')).length > 0);
    io.stop.abort();
    expect((await backup).code).toBe('STOPPED');
    expect(await processes('sleep 4343')).toEqual([]);
  });
});

describe('a backup is whole although', () => {
  it('a role goes away while its database is dumped', async () => {
    // In the dump's snapshot it still owns something.
    const toolsDirectory = await toolsWith({
      pg_dump: `REAL "$@" || exit 1
[ "$1" = --version ] || REALDIR/psql -q -X -d "$PGDATABASE_OF_TEST" -c 'REASSIGN OWNED BY leaver TO oms_owner' -c 'DROP ROLE leaver'`
        .replace('REALDIR', server.tools)
        .replace('$PGDATABASE_OF_TEST', 'dbname=oms'),
    });
    await server.sql(
      'oms',
      'CREATE ROLE leaver',
      'CREATE TABLE public.left_behind (n int)',
      'ALTER TABLE public.left_behind OWNER TO leaver',
    );
    const source = omsSource(server, { toolsDirectory });
    const backup = await backUp(source, scratch);
    await restore(omsSource(server), backup, await scratch.io());
    const owner = `select pg_get_userbyid(relowner) as owner from pg_class where relname = 'left_behind'`;
    expect(await server.sql('oms', owner)).toEqual([{ owner: 'leaver' }]);
    await server.sql('oms', 'DROP OWNED BY leaver', 'DROP ROLE leaver');
  });

  it('pg_dump is newer than the server; that a restore may need that version as well is said', async () => {
    // No second version is installed: a script says it is a newer one.
    const toolsDirectory = await toolsWith({
      pg_dump: '[ "$1" = --version ] && { echo "pg_dump (PostgreSQL) 99.1"; exit; }; exec REAL "$@"',
    });
    const io = await scratch.io();
    await backUp(omsSource(server, { toolsDirectory }), scratch, io);
    expect(io.lines.join()).toMatch(/warn: pg_dump is of version 99\.1, newer than the server/);
  });
});

describe('secrets', () => {
  it('are in no argument of any process, no log line and no fact while a database is dumped', async () => {
    // Every tool notes what arguments it and its parents were started with.
    const seen = join(await scratch.directory(), 'seen');
    const note = `for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done >> ${seen} 2>/dev/null; exec REAL "$@"`;
    const toolsDirectory = await toolsWith({ psql: note, pg_dump: note, pg_restore: note });
    const source = omsSource(server, { toolsDirectory });
    const io = await scratch.io();
    const backup = await backUp(source, scratch, io);
    await dropDatabase(server);
    await restore(source, backup, io);
    const { stdout } = await run('sh', ['-c', `cat ${seen}`], { maxBuffer: 256 * 1024 * 1024 });
    expect(stdout).toContain('--lock-wait-timeout');
    expect(stdout).toContain('--exit-on-error');
    for (const secret of [server.password, 'SCRAM-SHA-256']) {
      expect(stdout).not.toContain(secret);
      expect(io.lines.join('\n')).not.toContain(secret);
      expect(JSON.stringify(backup.facts)).not.toContain(secret);
    }
  });

  it('are taken out of what a tool says, with the statements and rows it quotes', async () => {
    const toolsDirectory = await toolsWith({
      pg_dump: `[ "$1" = --version ] && exec REAL "$@"
echo "pg_dump: error: it said $PGPASSWORD" >&2
echo "CONTEXT: COPY person, line 3: somebody's row" >&2
exit 1`,
    });
    const error = await failure(backUp(omsSource(server, { toolsDirectory }), scratch));
    expect(error.message).toBe('dump the database oms: pg_dump failed: pg_dump: error: it said ***');
  });

  it('of roles are left out, with a warning, for a user who may not read them', async () => {
    await server.sql('postgres', `CREATE ROLE reader LOGIN PASSWORD 'reader-pass' IN ROLE pg_read_all_data, oms_rw`);
    try {
      const passwordFile = join(await scratch.directory(), 'reader');
      await writeFile(passwordFile, 'reader-pass', { mode: 0o600 });
      await server.sql('oms', 'SELECT lo_unlink(oid) FROM pg_largeobject_metadata');
      const source = omsSource(server, {}, { user: 'reader', passwordFile });
      const io = await scratch.io();
      const backup = await backUp(source, scratch, io);
      expect(io.lines.join('\n')).toContain('the password hashes of roles are not in this backup');
      expect(await readFile(join(backup.unpacked, 'oms/database/oms/roles.sql'), 'utf8')).not.toContain('PASSWORD');
      const plan = await source.planRestore(
        { facts: backup.facts, contentBytes: 1n, renameDatabases: {}, directory: undefined },
        io,
      );
      expect(plan.refusals.join()).toContain('the user reader is no superuser');
    } finally {
      await server.sql('postgres', 'DROP ROLE reader');
    }
  });
});

describe('a restore that fails before the switch leaves the old state untouched and nothing behind:', () => {
  async function expectUntouched(damage: (dump: string) => Promise<void>, changes: Record<string, unknown> = {}) {
    const base = await scratch.directory();
    await makeConfiguration(join(base, 'oms'));
    const configuration = [join(base, 'oms')];
    const backup = await backUp(omsSource(server, { configuration }), scratch);
    await damage(join(backup.unpacked, 'oms', 'database', 'oms', 'dump'));
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    await server.sql('oms', 'DROP OWNED BY oms_app');
    await server.sql('postgres', 'ALTER ROLE oms_app IN DATABASE oms RESET ALL', 'DROP ROLE oms_app');
    const before = { dump: await server.plainDump('oms'), roles: await server.rolesDump() };
    const error = await failure(restore(omsSource(server, { configuration, ...changes }), backup, await scratch.io()));
    expect(await server.plainDump('oms')).toBe(before.dump);
    expect(await server.rolesDump()).toBe(before.roles);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
    expect(await readdir(base)).toEqual(['oms']);
    return error;
  }

  async function largest(dump: string): Promise<string> {
    const { stdout } = await run('sh', ['-c', 'ls -S *.dat | head -1'], { cwd: dump });
    return join(dump, stdout.trim());
  }

  it('a row of the dump is malformed', async () => {
    const error = await expectUntouched(async (dump) => {
      const path = await largest(dump);
      await writeFile(path, (await readFile(path, 'latin1')).replace(/\t/, ' '), 'latin1');
    });
    expect(error.code).toBe('TOOL');
    expect(error.message).toContain('restore the database oms: pg_restore failed: ');
  });

  it('a data file of the dump is missing', async () => {
    const error = await expectUntouched(async (dump) => {
      await run('rm', [await largest(dump)]);
    });
    expect(error.code).toBe('TOOL');
  });

  it('a data file of the dump is cut off', async () => {
    const error = await expectUntouched(async (dump) => {
      await truncate(await largest(dump), 20_000);
    });
    expect(['TOOL', 'DAMAGED']).toContain(error.code);
  });

  it('rows are lost without a word', async () => {
    // A pg_restore that says it succeeded, with a table emptied behind it.
    const toolsDirectory = await toolsWith({
      pg_restore: `REAL "$@" || exit 1
case "$*" in *--exit-on-error*) for last; do :; done
${join(server.tools, 'psql')} -q -X -c 'DELETE FROM "odd, schema"."my table" WHERE id = 7' -d "$last";; esac`,
    });
    const error = await expectUntouched(async () => {}, { toolsDirectory });
    expect(error.code).toBe('DAMAGED');
    expect(error.message).toContain('"odd, schema"."my table" has 499 rows, its dump holds 500');
  });

  it('objects are lost without a word', async () => {
    const toolsDirectory = await toolsWith({
      pg_restore: `REAL "$@" || exit 1
case "$*" in *--exit-on-error*) for last; do :; done
${join(server.tools, 'psql')} -q -X -c 'DROP VIEW "odd, schema".recent' -d "$last";; esac`,
    });
    const error = await expectUntouched(async () => {}, { toolsDirectory });
    expect(error).toMatchObject({ code: 'DAMAGED' });
    expect(error.message).toContain('0 of kind VIEW are there, the dump holds 1');
  });

  it('pg_restore hangs', async () => {
    const toolsDirectory = await toolsWith({
      pg_restore: 'case "$*" in *--exit-on-error*) sleep 4444;; *) exec REAL "$@";; esac',
    });
    const error = await expectUntouched(async () => {}, { toolsDirectory, timeout: '2s' });
    expect(error.code).toBe('TIMEOUT');
    expect(await processes('sleep 4444')).toEqual([]);
  });
});

describe('a plan', () => {
  it('shows a server that is down as what stands in the way', async () => {
    const backup = await backUp(omsSource(server), scratch);
    const request = { facts: backup.facts, contentBytes: 1n, renameDatabases: {}, directory: undefined };
    const plan = await omsSource(server, {}, { port: await freePort() }).planRestore(request, await scratch.io());
    expect(plan.refusals.join()).toContain('does not answer');
  });

  it('refuses a backup of a newer server, or one whose manifest says too little', async () => {
    const source = omsSource(server);
    const { facts } = await backUp(source, scratch);
    const request = { contentBytes: 1n, renameDatabases: {}, directory: undefined };
    const plan = await source.planRestore(
      { ...request, facts: { ...facts, serverMajor: '99', dumpMajor: '99' } },
      await scratch.io(),
    );
    expect(plan.refusals.join('; ')).toMatch(/the backup of the newer .*; pg_restore is of version/);
    const error = await failure(source.planRestore({ ...request, facts: { ...facts, databases: '[{}]' } }, await scratch.io()));
    expect(error.code).toBe('DAMAGED');
  });

  it('names the roles that will be created and what will run', async () => {
    const source = omsSource(server, { beforeRestore: ['systemctl', 'stop', 'oms'] });
    const { facts } = await backUp(source, scratch);
    await dropDatabase(server);
    const plan = await source.planRestore(
      { facts, contentBytes: 1n, renameDatabases: {}, directory: undefined },
      await scratch.io(),
    );
    expect(plan.refusals).toEqual([]);
    expect(plan.steps).toContain('before the switch, run: systemctl stop oms');
    expect(plan.steps).toContain('create the missing roles oms_app, oms_owner, oms_rw');
    expect(plan.overwrites).toEqual([]);
  });
});

describe('settings', () => {
  const database = { host: 'h', user: 'u', passwordFile: '/p', name: 'oms' };

  it.each([
    ['an inline password', { database: { ...database, password: 'x' } }],
    ['a relative password file', { database: { ...database, passwordFile: 'p' } }],
    ["a database of PostgreSQL's own", { database: { ...database, name: 'postgres' } }],
    ['a database that is its own maintenance database', { database: { ...database, maintenanceDatabase: 'oms' } }],
    ['a table pattern with quotes', { database: { ...database, excludeDataOf: ['"a"'] } }],
    ['a relative configuration path', { database, configuration: ['etc'] }],
    ['a configuration path with ".."', { database, configuration: ['/etc/../root'] }],
    ['the root directory as configuration', { database, configuration: ['/'] }],
    ['configuration inside other configuration', { database, configuration: ['/etc/oms', '/etc/oms/conf'] }],
    ['a time-out without a unit', { database, timeout: '2' }],
    ['a time-out longer than timers can be', { database, timeout: '600h' }],
    ['an unknown field', { database, colour: 'red' }],
  ])('of OMS refuse %s', (_what, settings) => {
    expect(omsSettingsSchema.safeParse(settings).success).toBe(false);
  });

  it('have the documented defaults: alarm data left out, two jobs, 2 h', () => {
    expect(omsSettingsSchema.parse({ database, configuration: ['/etc/oms/'] })).toMatchObject({
      database: { excludeDataOf: ['*.t_alarm*'], maintenanceDatabase: 'postgres', port: 5432 },
      configuration: ['/etc/oms'],
      jobs: 2,
      timeout: 7_200_000,
    });
  });

  it('of DBService refuse a database named twice and take seconds as a time-out', () => {
    const settings = { host: 'h', user: 'u', passwordFile: '/p', databases: ['hive'], timeout: 7200 };
    expect(dbServiceSettingsSchema.parse(settings).timeout).toBe(7_200_000);
    expect(dbServiceSettingsSchema.safeParse({ ...settings, databases: ['hive', 'hive'] }).success).toBe(false);
  });
});
