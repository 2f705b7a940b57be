import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ODD_NAME,
  Scratch,
  backUp,
  backUpArchived,
  dbServiceSource,
  dropDatabase,
  listing,
  makeConfiguration,
  makeDatabase,
  omsSource,
  restore,
  restoreRequest,
} from './fixture.ts';
import { startServer } from './server.ts';
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

/** A dump knows no alarms: that is what they are compared without. */
async function withoutAlarms(): Promise<string> {
  await server.sql('oms', 'DELETE FROM "odd, schema".t_alarm_history');
  return server.plainDump('oms');
}

describe('OMS', () => {
  it.each(['an archive', 'a plain copy'])(
    'comes back to the letter through %s after its database, its roles and its configuration are destroyed',
    async (through) => {
      const base = await scratch.directory();
      const conf = join(base, 'etc', 'oms');
      await makeConfiguration(conf);
      await writeFile(join(base, 'single.properties'), 'a=b\n', { mode: 0o604 });
      const source = omsSource(server, { configuration: [conf, join(base, 'single.properties')] });
      const io = await scratch.io();
      const backup = through === 'an archive' ? await backUpArchived(source, scratch, io) : await backUp(source, scratch, io);
      const before = { dump: await withoutAlarms(), roles: await server.rolesDump(), conf: await listing(conf) };
      expect(io.phases).toContain('dump oms');
      expect(io.lines.join('\n')).toContain('odd, schema.t_alarm_history');

      await dropDatabase(server);
      await rm(join(base, 'etc'), { recursive: true });
      await rm(join(base, 'single.properties'));
      expect(await server.databases()).toEqual(['postgres']);

      const lines = await restore(source, backup, await scratch.io());
      expect(await server.plainDump('oms')).toBe(before.dump);
      expect(await server.rolesDump()).toBe(before.roles);
      expect(await listing(conf)).toBe(before.conf);
      expect(await readFile(join(base, 'single.properties'), 'utf8')).toBe('a=b\n');
      expect(lines.join('\n')).toContain('database oms: 8 tables and 3503 rows as in the backup, owner oms_owner');
      expect(await readdir(base)).toEqual(['etc', 'single.properties']);
      expect(await readdir(join(base, 'etc'))).toEqual(['oms']);
      // The password of a role came back as well.
      const app = await server.client('oms', 'oms_app', 'app-pass');
      await app.end();
    },
  );

  it('keeps alarm tables without their data', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await dropDatabase(server);
    await restore(source, backup, await scratch.io());
    expect(await server.sql('oms', 'select count(*)::int as n from "odd, schema".t_alarm_history')).toEqual([{ n: 0 }]);
    expect(await server.sql('oms', 'select count(*)::int as n from only "odd, schema".host')).toEqual([{ n: 3000 }]);
  });

  it('keeps the data of an alarm table that kept data refer to, and says so: without them the foreign key could not come back', async () => {
    await server.sql(
      'oms',
      'CREATE TABLE public.t_alarm_kind (id int PRIMARY KEY, "Name" text)',
      `INSERT INTO public.t_alarm_kind VALUES (1, 'disk full')`,
      'CREATE TABLE public.t_alarm (id serial PRIMARY KEY, kind int REFERENCES public.t_alarm_kind, day date)',
      `INSERT INTO public.t_alarm (kind) SELECT 1 FROM generate_series(1, 10)`,
      'CREATE TABLE public.ticket (n int, alarm int REFERENCES public.t_alarm)',
      'INSERT INTO public.ticket VALUES (1, 5)',
      // Alarms among themselves are no reason to keep any, in partitions or not; nor is a key that was never validated.
      'CREATE TABLE public.t_alarm_log (id int PRIMARY KEY, before int REFERENCES public.t_alarm_log) PARTITION BY RANGE (id)',
      'CREATE TABLE public."t_alarm ""log"" 1" PARTITION OF public.t_alarm_log FOR VALUES FROM (1) TO (100)',
      'INSERT INTO public.t_alarm_log VALUES (1, NULL), (2, 1)',
      'CREATE TABLE public.loose (alarm int)',
      'INSERT INTO public.loose VALUES (77)',
      'ALTER TABLE public.loose ADD FOREIGN KEY (alarm) REFERENCES "odd, schema".t_alarm_history NOT VALID',
    );
    const source = omsSource(server);
    const io = await scratch.io();
    const backup = await backUp(source, scratch, io);
    expect(io.lines.filter((line) => line.startsWith('warn')).join()).toContain(
      'the data of public.t_alarm, public.t_alarm_kind are kept: data of this backup refer to them',
    );
    await restore(source, backup, await scratch.io());
    const counts = ['t_alarm', 't_alarm_kind', 'ticket', 't_alarm_log', 'loose'].map(
      (table) => `(select count(*)::int from public.${table}) as ${table}`,
    );
    expect(await server.sql('oms', `select ${counts.join(', ')}`)).toEqual([
      { t_alarm: 10, t_alarm_kind: 1, ticket: 1, t_alarm_log: 0, loose: 1 },
    ]);
    expect(await server.sql('oms', 'select count(*)::int as n from "odd, schema".t_alarm_history')).toEqual([{ n: 0 }]);
  });

  it('numbers on where it was, though the name of a sequence is like that of an alarm table', async () => {
    await server.sql(
      'oms',
      'CREATE SEQUENCE public.t_alarm_numbers',
      `CREATE TABLE public.event (id bigint PRIMARY KEY DEFAULT nextval('public.t_alarm_numbers'))`,
      'INSERT INTO public.event DEFAULT VALUES',
    );
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await restore(source, backup, await scratch.io());
    await server.sql('oms', 'INSERT INTO public.event DEFAULT VALUES');
  });

  it('never calls what a user of the database put in the way of a superuser', async () => {
    // Would be preferred to the one of pg_catalog by the types of its arguments.
    const trap = `CREATE FUNCTION public.shobj_description(oid, text) RETURNS text LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'trapped %', current_user; END $$`;
    await server.sql('oms', trap);
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await restore(source, backup, await scratch.io());
  });

  it('replaces a changed database and configuration under live connections, keeps existing roles as they are, and leaves nothing behind', async () => {
    const base = await scratch.directory();
    const conf = join(base, 'oms');
    await makeConfiguration(conf);
    const source = omsSource(server, { configuration: [conf] });
    const backup = await backUp(source, scratch);
    const before = { dump: await withoutAlarms(), conf: await listing(conf) };

    await server.sql('oms', 'DROP TABLE "odd, schema".host CASCADE');
    await server.sql('postgres', `ALTER ROLE oms_app PASSWORD 'changed since'`);
    await writeFile(join(conf, 'oms.xml'), 'changed');
    await writeFile(join(conf, 'added'), 'since');
    const live = await server.client('oms');
    const plan = await source.planRestore(restoreRequest(backup), await scratch.io());
    expect(plan.refusals).toEqual([]);
    expect(plan.overwrites).toEqual(['database oms', conf]);
    expect(plan.mustBeStopped.join()).toContain('1 sessions');
    await restore(source, backup, await scratch.io());

    await expect(live.query('select 1')).rejects.toThrow();
    expect(await server.plainDump('oms')).toBe(before.dump);
    expect(await listing(conf)).toBe(before.conf);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
    expect(await readdir(base)).toEqual(['oms']);
    const app = await server.client('oms', 'oms_app', 'changed since');
    await app.end();
  });

  it('is estimated without the tables left out, and without waiting for locks', async () => {
    await server.sql(
      'oms',
      `INSERT INTO "odd, schema".t_alarm_history SELECT n, repeat('x', 500) FROM generate_series(1000, 9000) n`,
    );
    await server.sql('oms', 'VACUUM ANALYZE');
    const locker = await server.client('oms');
    await locker.query('BEGIN');
    await locker.query('LOCK TABLE "odd, schema".host, "odd, schema".t_alarm_history');
    const { n } = (await server.sql('postgres', `select pg_database_size('oms')::text as n`))[0] ?? {};
    await using prepared = await omsSource(server).prepareBackup({ databases: [], nameService: '' }, await scratch.io());
    const estimate = await prepared.estimate();
    await locker.end();
    expect(estimate).toBeLessThan(BigInt(String(n)) - 4_000_000n);
    expect(estimate).toBeGreaterThan(7_000_000n);
  });

  it('can be restored twice from the same backup', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    const before = await withoutAlarms();
    await restore(source, backup, await scratch.io());
    await restore(source, backup, await scratch.io());
    expect(await server.plainDump('oms')).toBe(before);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('stops what depends on it before the switch and starts it afterwards', async () => {
    const diary = join(await scratch.directory(), 'diary');
    const note = (word: string) => ['/bin/sh', '-c', `echo ${word} >> ${diary}`];
    const source = omsSource(server, { beforeRestore: note('stopped'), afterRestore: note('started') });
    const backup = await backUp(source, scratch);
    await restore(source, backup, await scratch.io());
    expect(await readFile(diary, 'utf8')).toBe('stopped\nstarted\n');
  });

  it('does not wait for a daemon that the command for the dependants starts and that keeps its output open', async () => {
    const pidFile = join(await scratch.directory(), 'pid');
    const source = omsSource(server, { afterRestore: ['/bin/sh', '-c', `sleep 300 & echo $! > ${pidFile}`], timeout: '20s' });
    const backup = await backUp(source, scratch);
    await restore(source, backup, await scratch.io());
    process.kill(Number(await readFile(pidFile, 'utf8')));
  });

  it('rolls back and starts the dependants again when they do not come up on the restored state', async () => {
    const directory = await scratch.directory();
    const diary = join(directory, 'diary');
    // Fails the first time: on the restored state.
    const start = `echo start >> ${diary}; [ "$(grep -c start ${diary})" -gt 1 ]`;
    const source = omsSource(server, {
      beforeRestore: ['/bin/sh', '-c', `echo stop >> ${diary}`],
      afterRestore: ['/bin/sh', '-c', start],
    });
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    const before = await server.plainDump('oms');
    await expect(restore(source, backup, await scratch.io())).rejects.toThrow('start what depends on it');
    expect(await readFile(diary, 'utf8')).toBe('stop\nstart\nstop\nstart\n');
    expect(await server.plainDump('oms')).toBe(before);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('goes under another name without touching the original or its configuration', async () => {
    const conf = join(await scratch.directory(), 'oms');
    await makeConfiguration(conf);
    const source = omsSource(server, { configuration: [conf] });
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    await writeFile(join(conf, 'oms.xml'), 'changed');
    const original = { dump: await server.plainDump('oms'), conf: await listing(conf) };
    const options = { renameDatabases: { oms: 'oms drill' } };
    const plan = await source.planRestore(restoreRequest(backup, options), await scratch.io());
    expect(plan).toMatchObject({ overwrites: [], mustBeStopped: [], refusals: [] });
    expect(plan.warnings.join()).toContain('configuration files are not restored');

    await restore(source, backup, await scratch.io(), options);
    expect(await server.sql('oms drill', 'select count(*)::int as n from only "odd, schema".host')).toEqual([{ n: 3000 }]);
    expect(await server.plainDump('oms')).toBe(original.dump);
    expect(await listing(conf)).toBe(original.conf);

    const again = await source.planRestore(restoreRequest(backup, options), await scratch.io());
    expect(again.refusals.join()).toContain('a database oms drill exists already');
    await server.sql('postgres', 'DROP DATABASE "oms drill"');
  });

  it('goes into a directory: configuration as files, the database as a dump that pg_restore reads', async () => {
    const conf = join(await scratch.directory(), 'oms');
    await makeConfiguration(conf);
    const source = omsSource(server, { configuration: [conf] });
    const backup = await backUp(source, scratch);
    const original = { dump: await server.plainDump('oms'), conf: await listing(conf) };
    const directory = join(await scratch.directory(), 'deep', 'inside');
    await restore(source, backup, await scratch.io(), { directory });
    expect(await listing(`${directory}/configuration${conf}`)).toBe(original.conf);
    const { stdout } = await run(join(server.tools, 'pg_restore'), ['--list', join(directory, 'database', 'oms', 'dump')]);
    expect(stdout).toContain('TABLE DATA odd, schema host oms_owner');
    expect(await server.plainDump('oms')).toBe(original.dump);
    expect(await server.databases()).toEqual(['oms', 'postgres']);

    await expect(restore(source, backup, await scratch.io(), { directory })).rejects.toThrow('is not empty');
  });

  it('refuses names and places that would do harm, before anything changes', async () => {
    const conf = join(await scratch.directory(), 'oms');
    await makeConfiguration(conf);
    const backup = await backUp(omsSource(server, { configuration: [conf] }), scratch);
    const elsewhere = omsSource(server, {}, { name: 'oms2' });
    const refusals = async (source: typeof elsewhere, options: Parameters<typeof restoreRequest>[1]) =>
      (await source.planRestore(restoreRequest(backup, options), await scratch.io())).refusals.join('; ');
    const source = omsSource(server, { configuration: [conf] });
    expect(await refusals(elsewhere, {})).toMatch(/the database oms is not configured.*the path .* is not configured/);
    expect(await refusals(source, { renameDatabases: { oms: 'x'.repeat(64) } })).toContain('longer than 63 bytes');
    expect(await refusals(source, { renameDatabases: { oms: 'template1' } })).toContain("PostgreSQL's own");
    expect(await refusals(source, { renameDatabases: { oms: 'a\nb' } })).toContain('control character');
    expect(await refusals(source, { renameDatabases: { hive: 'a' } })).toContain('holds no database "hive"');
    expect(await refusals(source, { directory: `${conf}/below` })).toContain('lies in, the original path');
    expect(await refusals(source, { directory: 'relative' })).toContain('not an absolute path');
    expect(await refusals(source, { contentBytes: 10n ** 18n })).toContain('are needed');
    await expect(elsewhere.prepareRestore(restoreRequest(backup), await scratch.io())).rejects.toMatchObject({ code: 'REFUSED' });
    await server.sql('oms', 'BEGIN', 'CREATE TABLE public.tx (n int)', `PREPARE TRANSACTION 'held'`);
    expect(await refusals(source, {})).toContain('1 prepared transactions');
    await server.sql('oms', `ROLLBACK PREPARED 'held'`);
  });
});

describe('DBService', () => {
  it('brings several databases back, one of them with quotes and blanks in its name', async () => {
    await makeDatabase(server, ODD_NAME, 'odd');
    try {
      const source = dbServiceSource(server, ['oms', ODD_NAME]);
      const backup = await backUp(source, scratch);
      const before = [await server.plainDump('oms'), await server.plainDump(ODD_NAME)];
      await dropDatabase(server);
      await dropDatabase(server, ODD_NAME, 'odd');
      await restore(source, backup, await scratch.io());
      expect([await server.plainDump('oms'), await server.plainDump(ODD_NAME)]).toEqual(before);
    } finally {
      await dropDatabase(server, ODD_NAME, 'odd');
    }
  });

  it('replaces an existing database with an odd name', async () => {
    await makeDatabase(server, ODD_NAME, 'odd');
    try {
      const source = dbServiceSource(server, ['oms', ODD_NAME]);
      const backup = await backUp(source, scratch, undefined, [ODD_NAME]);
      const before = await server.plainDump(ODD_NAME);
      await server.sql(ODD_NAME, 'DROP SCHEMA "odd, schema" CASCADE');
      await restore(source, backup, await scratch.io());
      expect(await server.plainDump(ODD_NAME)).toBe(before);
      expect(await server.databases()).toEqual(['oms', 'postgres', ODD_NAME]);
    } finally {
      await dropDatabase(server, ODD_NAME, 'odd');
    }
  });

  it('restores only the databases that are named when some get another name', async () => {
    await makeDatabase(server, 'hue', 'hue');
    try {
      const source = dbServiceSource(server, ['oms', 'hue']);
      const backup = await backUp(source, scratch);
      await server.sql('hue', 'CREATE TABLE public.since (n int)');
      await restore(source, backup, await scratch.io(), { renameDatabases: { oms: 'oms_drill' } });
      expect(await server.databases()).toEqual(['hue', 'oms', 'oms_drill', 'postgres']);
      expect(await server.sql('hue', `select to_regclass('public.since')::text as t`)).toEqual([{ t: 'since' }]);
      await server.sql('postgres', 'DROP DATABASE oms_drill');
    } finally {
      await dropDatabase(server, 'hue', 'hue');
    }
  });

  it('restores a database whose name is as long as names can be', async () => {
    const name = `${'n'.repeat(61)}ü`;
    await server.sql('postgres', `CREATE DATABASE "${name}"`);
    try {
      await server.sql(name, 'CREATE TABLE t AS SELECT 1 AS n', 'DROP SCHEMA IF EXISTS nothing');
      const source = dbServiceSource(server, [name]);
      const backup = await backUp(source, scratch);
      await server.sql(name, 'DROP TABLE t');
      await restore(source, backup, await scratch.io());
      expect(await server.sql(name, 'select n from t')).toEqual([{ n: 1 }]);
      expect(await server.databases()).toEqual([name, 'oms', 'postgres']);
    } finally {
      await server.sql('postgres', `DROP DATABASE IF EXISTS "${name}"`);
    }
  });

  it('restores a database that has no schema public', async () => {
    await server.sql('postgres', 'CREATE DATABASE bare');
    await server.sql('bare', 'DROP SCHEMA public', 'CREATE SCHEMA s', 'CREATE TABLE s.t (n int)');
    try {
      const source = dbServiceSource(server, ['bare']);
      const backup = await backUp(source, scratch);
      const before = await server.plainDump('bare');
      await restore(source, backup, await scratch.io());
      expect(await server.plainDump('bare')).toBe(before);
    } finally {
      await server.sql('postgres', 'DROP DATABASE bare');
    }
  });

  it.each([
    ['LATIN1', String.raw`'caf\351'`],
    ['SQL_ASCII', String.raw`'any \377\200 bytes'`],
  ])('restores a database in %s whatever bytes it holds', async (encoding, text) => {
    await server.sql('postgres', `CREATE DATABASE other TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C'`);
    try {
      const bytes = `select encode(convert_to(t.t, '${encoding}'), 'escape') as b from t`;
      const fill = `INSERT INTO t SELECT convert_from(decode(${text}, 'escape'), '${encoding}')`;
      await server.sql('other', 'CREATE TABLE t (t text)', fill, 'SET client_encoding = UTF8');
      if (encoding === 'LATIN1') await server.sql('other', 'CREATE TABLE "café" AS SELECT 1 AS n');
      const before = await server.sql('other', bytes);
      const source = dbServiceSource(server, ['other']);
      const backup = await backUp(source, scratch);
      await server.sql('other', 'DROP TABLE t');
      await restore(source, backup, await scratch.io());
      expect(await server.sql('other', bytes)).toEqual(before);
      expect(before[0]?.['b']).toMatch(/\\3/);
      if (encoding === 'LATIN1') expect(await server.sql('other', 'SELECT n FROM "café"')).toEqual([{ n: 1 }]);
    } finally {
      await server.sql('postgres', 'DROP DATABASE other');
    }
  });

  it('restores the rarer kinds of objects, with views that depend on one another, rules, policies and extensions', async () => {
    const space = join(server.directory, 'space');
    await mkdir(space, { mode: 0o777 });
    await run('chown', ['-R', '--reference', join(server.directory, 'data'), space]);
    await server.sql('postgres', 'CREATE DATABASE rare', `CREATE TABLESPACE fast LOCATION '${space}'`);
    try {
      await server.sql(
        'rare',
        'CREATE EXTENSION hstore',
        'CREATE EXTENSION file_fdw',
        'CREATE SERVER files FOREIGN DATA WRAPPER file_fdw',
        `CREATE FOREIGN TABLE hosts (line text) SERVER files OPTIONS (filename '/etc/hosts')`,
        "CREATE TYPE colour AS ENUM ('red', 'green')",
        'CREATE DOMAIN small AS int CHECK (VALUE < 10)',
        'CREATE TABLE t (id int PRIMARY KEY, c colour, s small, h hstore, twice int GENERATED ALWAYS AS (id * 2) STORED)',
        `INSERT INTO t SELECT n, 'red', n % 10, hstore('k', n::text) FROM generate_series(1, 1000) n`,
        'CREATE UNLOGGED TABLE scratch AS SELECT 1 AS n',
        'CREATE VIEW a AS SELECT id FROM t GROUP BY id',
        'CREATE VIEW b AS SELECT a.id, t.c FROM a JOIN t USING (id) GROUP BY a.id, t.id',
        'CREATE VIEW grouped AS SELECT id, c FROM t GROUP BY id',
        'CREATE RULE quiet AS ON DELETE TO t DO INSTEAD NOTHING',
        'ALTER TABLE t ENABLE ROW LEVEL SECURITY',
        'CREATE POLICY own ON t TO oms_rw USING (id < 5)',
        'CREATE PUBLICATION pub FOR TABLE t',
        `CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`,
        'CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION ev()',
        'CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)',
        'CREATE STATISTICS st ON id, s FROM t',
        'COMMENT ON TABLE t IS $$it is; "quoted"$$',
      );
      const source = dbServiceSource(server, ['rare']);
      await server.sql('postgres', 'ALTER DATABASE rare SET TABLESPACE fast');
      const backup = await backUp(source, scratch);
      const before = await server.plainDump('rare');
      await server.sql('postgres', 'DROP DATABASE rare');
      await restore(source, backup, await scratch.io());
      expect(await server.plainDump('rare')).toBe(before);

      await server.sql('postgres', 'DROP DATABASE rare', 'DROP TABLESPACE fast');
      const io = await scratch.io();
      await restore(source, backup, io);
      expect(io.lines.join()).toContain('the server has no tablespace fast');
      expect(await server.sql('rare', 'select count(*)::int as n from t')).toEqual([{ n: 1000 }]);
    } finally {
      await server.sql('postgres', 'DROP DATABASE IF EXISTS rare', 'DROP TABLESPACE IF EXISTS fast');
    }
  });

  it('does not restore a subscription, which would keep its database from being dropped, and says so', async () => {
    await server.sql('postgres', 'CREATE DATABASE fed');
    const unsubscribe = ['ALTER SUBSCRIPTION feed SET (slot_name = NONE)', 'DROP SUBSCRIPTION feed'];
    try {
      await server.sql('fed', `CREATE SUBSCRIPTION feed CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)`);
      const source = dbServiceSource(server, ['fed']);
      const backup = await backUp(source, scratch);
      const { refusals } = await source.planRestore(restoreRequest(backup), await scratch.io());
      expect(refusals.join()).toContain('fed has the subscriptions feed: drop them');
      await server.sql('fed', ...unsubscribe);
      const io = await scratch.io();
      await restore(source, backup, io);
      expect(io.lines.join()).toContain('the subscriptions of fed are not restored');
      expect(await server.sql('fed', 'select 1 from pg_subscription')).toEqual([]);
      expect(await server.databases()).toEqual(['fed', 'oms', 'postgres']);
    } finally {
      await server.sql('postgres', 'DROP DATABASE fed');
    }
  });

  it('shows in its spool only what its owner may read', async () => {
    const io = await scratch.io();
    await using prepared = await dbServiceSource(server, ['oms']).prepareBackup({ databases: [], nameService: '' }, io);
    await prepared.backup();
    const base = join(io.workDirectory, 'dbservice', 'database', 'oms');
    const { stdout } = await run('stat', ['-c', '%a %n', base, join(base, 'roles.sql'), join(base, 'roles.json')]);
    expect(stdout.split('\n').filter((line) => line !== '' && !/^[67]00 /.test(line))).toEqual([]);
    await mkdir(join(base, 'probe'));
    expect(await readFile(join(base, 'roles.sql'), 'utf8')).toContain('GRANT "oms_rw" TO "oms_app"');
  });
});
