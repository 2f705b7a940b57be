import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { openServer } from '../../../agent/sources/postgres/server.ts';
import { decodeUndo, encodeUndo, switchSteps } from '../../../agent/sources/postgres/staged.ts';
import { createPostgresSource } from '../../../agent/sources/postgres/source.ts';
import { undoPostgresRestore } from '../../../agent/sources/postgres/undo.ts';
import type { PostgresSourceSettings } from '../../../agent/sources/postgres/settings.ts';
import type { Source, UndoRecord } from '../../../agent/sources/source.ts';
import {
  Scratch,
  backUp,
  dbServiceSource,
  dropDatabase,
  listing,
  makeConfiguration,
  makeDatabase,
  omsSource,
  restore,
  restoreRequest,
} from './fixture.ts';
import type { Backup } from './fixture.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

let server: TestServer;
const scratch = new Scratch();
/** Close, rename away, rename to; then the two renames of the configuration. */
const STEPS = 5;
const STEPS_WITHOUT_OLD = 2;

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

function postgresSettings(): PostgresSourceSettings {
  return {
    connection: {
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      passwordFile: server.passwordFile,
      maintenanceDatabase: 'postgres',
    },
    databases: ['oms'],
    excludeDataOf: [],
    configuration: [],
    jobs: 1,
    timeoutMs: 60_000,
    toolsDirectory: undefined,
    beforeRestore: [],
    afterRestore: [],
  };
}

async function connect(): ReturnType<typeof openServer> {
  return openServer(postgresSettings(), new AbortController().signal);
}

/** An agent that dies after `steps` steps of the switch: what it saved is all that is left of it. */
async function dieAfter(steps: number, source: Source, backup: Backup): Promise<UndoRecord> {
  const restoring = await source.prepareRestore(restoreRequest(backup), await scratch.io());
  await restoring.stage(backup.unpacked);
  let saved: UndoRecord = {};
  const death = new Error('dead');
  await expect(
    restoring.switchOver((undo) => {
      saved = undo;
      return Promise.reject(death);
    }),
  ).rejects.toBe(death);
  const all = switchSteps(decodeUndo(saved), await connect());
  for (const step of all.slice(0, steps)) await step();
  return JSON.parse(JSON.stringify(saved)) as UndoRecord;
}

describe('after a death in the switch the old state comes back', () => {
  it.each(Array.from({ length: STEPS + 1 }, (_, steps) => steps))('cut off after step %i', async (steps) => {
    const base = await scratch.directory();
    const conf = join(base, 'oms');
    await makeConfiguration(conf);
    const source = omsSource(server, { configuration: [conf] });
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    await writeFile(join(conf, 'added'), 'since');
    const before = { dump: await server.plainDump('oms'), conf: await listing(conf) };
    const undo = await dieAfter(steps, source, backup);
    expect(switchSteps(decodeUndo(undo), await connect())).toHaveLength(STEPS);

    await source.undoRestore(undo, await scratch.io());
    const expectOld = async () => {
      expect(await server.plainDump('oms')).toBe(before.dump);
      expect(await listing(conf)).toBe(before.conf);
      expect(await server.databases()).toEqual(['oms', 'postgres']);
      expect(await readdir(base)).toEqual(['oms']);
    };
    await expectOld();
    await source.undoRestore(undo, await scratch.io());
    await expectOld();
    // And what was put back can be restored over.
    await restore(source, backup, await scratch.io());
    expect(await server.sql('oms', `select to_regclass('public.since') as t`)).toEqual([{ t: null }]);
  });

  it.each(Array.from({ length: STEPS_WITHOUT_OLD + 1 }, (_, steps) => steps))(
    'cut off after step %i, when there was none before',
    async (steps) => {
      const base = await scratch.directory();
      const conf = join(base, 'etc', 'oms');
      await makeConfiguration(conf);
      const source = omsSource(server, { configuration: [conf] });
      const backup = await backUp(source, scratch);
      await dropDatabase(server);
      await rm(join(base, 'etc'), { recursive: true });
      const roles = await server.rolesDump();
      const undo = await dieAfter(steps, source, backup);
      expect(switchSteps(decodeUndo(undo), await connect())).toHaveLength(STEPS_WITHOUT_OLD);
      for (const time of ['first', 'second']) {
        await source.undoRestore(undo, await scratch.io());
        expect(await server.databases(), time).toEqual(['postgres']);
        expect(await readdir(base), time).toEqual([]);
        expect(await server.rolesDump(), time).toBe(roles);
      }
    },
  );

  it.each([3, 5])('cut off after step %i of the six of two databases', async (steps) => {
    await makeDatabase(server, 'hue', 'hue');
    try {
      const source = dbServiceSource(server, ['oms', 'hue']);
      const backup = await backUp(source, scratch);
      for (const name of ['oms', 'hue']) await server.sql(name, 'CREATE TABLE public.since (n int)');
      await source.undoRestore(await dieAfter(steps, source, backup), await scratch.io());
      expect(await server.databases()).toEqual(['hue', 'oms', 'postgres']);
      for (const name of ['oms', 'hue']) await server.sql(name, 'SELECT n FROM public.since');
    } finally {
      await dropDatabase(server, 'hue', 'hue');
    }
  });

  it('although clients have connected to the new one', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    const undo = await dieAfter(3, source, backup);
    const live = await server.client('oms');
    await source.undoRestore(undo, await scratch.io());
    await expect(live.query('select 1')).rejects.toThrow();
    expect(await server.sql('oms', `select to_regclass('public.since')::text as t`)).toEqual([{ t: 'since' }]);
  });

  it('once the server is up again, when the power cut took it down as well', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    const undo = await dieAfter(2, source, backup);
    await server.halt();
    const clock: Clock = { ...systemClock, sleep: () => server.begin() };
    const io = await scratch.io();
    await undoPostgresRestore(postgresSettings(), undo, io, clock);
    expect(io.lines.join()).toContain('does not answer');
    expect(await server.sql('oms', `select to_regclass('public.since')::text as t`)).toEqual([{ t: 'since' }]);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('when the death left a rename waiting in the server: it must not come through afterwards', async () => {
    const source = omsSource(server);
    const undo = await dieAfter(0, source, await backUp(source, scratch));
    const old = decodeUndo(undo).databases[0]?.old?.name;
    // What such a rename waits for.
    const inside = await server.client('oms');
    const orphan = await server.client('postgres');
    await orphan.query(`SET application_name = 'holdfast'`);
    const ended = orphan.query(`ALTER DATABASE "oms" RENAME TO "${old}"`).then(
      () => 'renamed',
      () => 'ended',
    );
    await source.undoRestore(undo, await scratch.io());
    await inside.end();
    expect(await ended).toBe('ended');
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('with dependants stopped first and started afterwards', async () => {
    const diary = join(await scratch.directory(), 'diary');
    const note = (word: string) => ['/bin/sh', '-c', `echo ${word} >> ${diary}`];
    const source = omsSource(server, { beforeRestore: note('stop'), afterRestore: note('start') });
    const undo = await dieAfter(2, source, await backUp(source, scratch));
    const io = await scratch.io();
    await source.undoRestore(undo, io);
    expect(io.lines.filter((line) => line.includes('depends on it')).map((line) => line.split(' ').at(-3))).toEqual([
      'stop',
      'start',
    ]);
  });
});

describe('what cannot be put back is said, and nothing more is lost', () => {
  it('when another database took the name', async () => {
    const source = omsSource(server);
    const undo = await dieAfter(2, source, await backUp(source, scratch));
    await server.sql('postgres', 'CREATE DATABASE oms');
    const old = decodeUndo(undo).databases[0]?.old?.name ?? '';
    await expect(source.undoRestore(undo, await scratch.io())).rejects.toMatchObject({ code: 'UNKNOWN_STATE' });
    expect(await server.databases()).toContain(old);
    // Once the way is free it works.
    await server.sql('postgres', 'DROP DATABASE oms');
    await source.undoRestore(undo, await scratch.io());
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('when something else took the place of a configuration path', async () => {
    const base = await scratch.directory();
    const conf = join(base, 'oms');
    await makeConfiguration(conf);
    const source = omsSource(server, { configuration: [conf] });
    const undo = await dieAfter(4, source, await backUp(source, scratch));
    await mkdir(conf);
    await expect(source.undoRestore(undo, await scratch.io())).rejects.toMatchObject({ code: 'UNKNOWN_STATE' });
    expect((await readdir(base)).some((name) => name.startsWith('oms.holdfast-old-'))).toBe(true);
    // The database is back all the same.
    expect(await server.databases()).toContain('oms');
  });

  it('when the server is another one, though it has databases of the same numbers', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await dropDatabase(server);
    const undo = await dieAfter(2, source, backup);
    const elsewhere = encodeUndo({ ...decodeUndo(undo), system: '7000000000000000000' });
    await expect(source.undoRestore(elsewhere, await scratch.io())).rejects.toMatchObject({ code: 'UNKNOWN_STATE' });
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('when a person gave the restored database a name of its own', async () => {
    const source = omsSource(server);
    const undo = await dieAfter(3, source, await backUp(source, scratch));
    await server.sql('postgres', 'ALTER DATABASE oms RENAME TO oms_by_hand');
    await source.undoRestore(undo, await scratch.io());
    expect(await server.databases()).toEqual(['oms', 'oms_by_hand', 'postgres']);
    await server.sql('postgres', 'DROP DATABASE oms_by_hand WITH (FORCE)');
  });

  it('when the record cannot be read', async () => {
    await expect(omsSource(server).undoRestore({ staged: '{' }, await scratch.io())).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});

describe('a restore that fails or is stopped after the switch began', () => {
  it('rolls back although the run was stopped', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    const before = await server.plainDump('oms');
    const io = await scratch.io();
    const stopped = restore(source, backup, io, {}, () => {
      io.stop.abort();
      return Promise.resolve();
    });
    await expect(stopped).rejects.toThrow();
    expect(await server.plainDump('oms')).toBe(before);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('rolls back once the server is up again, when it went down after the switch', async () => {
    const backup = await backUp(omsSource(server), scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    let halted = false;
    const clock: Clock = {
      ...systemClock,
      sleep: async (ms, signal) => {
        if (!halted) return systemClock.sleep(ms, signal);
        halted = false;
        return server.begin();
      },
    };
    const source = createPostgresSource('OMS', 'oms', postgresSettings(), clock);
    const io = await scratch.io();
    const prepared = await source.prepareRestore(restoreRequest(backup), io);
    await prepared.stage(backup.unpacked);
    await prepared.switchOver(() => Promise.resolve());
    await server.halt();
    halted = true;
    await prepared.rollBack();
    await prepared[Symbol.asyncDispose]();
    expect(io.lines.join()).toContain('trying again');
    expect(await server.sql('oms', `select to_regclass('public.since')::text as t`)).toEqual([{ t: 'since' }]);
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('rolls back when a table is lost on the way, though an extension brings one more', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    const lose = async (undo: UndoRecord) => {
      const name = decodeUndo(undo).databases[0]?.newName ?? '';
      await server.sql(name, 'DROP TABLE "odd, schema".empty', 'CREATE EXTENSION hstore', 'CREATE TABLE public.extra ()');
      await server.sql(name, 'ALTER EXTENSION hstore ADD TABLE public.extra');
    };
    const lossy = restore(source, backup, await scratch.io(), {}, lose);
    await expect(lossy).rejects.toThrow('check the database oms: 7 tables are there instead of 8');
    await server.sql('oms', 'SELECT n FROM public.since');
  });

  it('rolls back when the configuration cannot be switched after the database was', async () => {
    const base = await scratch.directory();
    const conf = join(base, 'oms');
    await makeConfiguration(conf);
    const source = omsSource(server, { configuration: [conf] });
    const backup = await backUp(source, scratch);
    await server.sql('oms', 'CREATE TABLE public.since (n int)');
    const before = { dump: await server.plainDump('oms'), conf: await listing(conf) };
    const broken = restore(source, backup, await scratch.io(), {}, async () => {
      for (const name of await readdir(base)) if (name.includes('holdfast-new')) await rm(join(base, name), { recursive: true });
    });
    await expect(broken).rejects.toThrow('ENOENT');
    expect(await server.plainDump('oms')).toBe(before.dump);
    expect(await listing(conf)).toBe(before.conf);
    expect(await readdir(base)).toEqual(['oms']);
  });

  it('touches nothing when how to undo it cannot be saved', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    const live = await server.client('oms');
    const failing = restore(source, backup, await scratch.io(), {}, () => Promise.reject(new Error('disk full')));
    await expect(failing).rejects.toThrow('disk full');
    expect((await live.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    await live.end();
    expect(await server.databases()).toEqual(['oms', 'postgres']);
  });

  it('clears what an earlier restore that died left', async () => {
    const source = omsSource(server);
    const backup = await backUp(source, scratch);
    await server.sql(
      'postgres',
      'CREATE DATABASE oms_holdfast_new_20200101000000',
      'CREATE DATABASE oms_holdfast_old_20200101000000',
    );
    // As a server leaves one that it was dropping when it went down: nothing but a drop is possible any more.
    await server.sql('postgres', `UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'oms_holdfast_new_20200101000000'`);
    const plan = await source.planRestore(restoreRequest(backup), await scratch.io());
    expect(plan.warnings.join()).toContain('oms_holdfast_old_20200101000000');
    await restore(source, backup, await scratch.io());
    // The old one may be the only copy of something: it stays.
    expect(await server.databases()).toEqual(['oms', 'oms_holdfast_old_20200101000000', 'postgres']);
    await server.sql('postgres', 'DROP DATABASE oms_holdfast_old_20200101000000');
  });
});
