/** What can go wrong between the controller and its PostgreSQL. */
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openPostgres } from '../../controller/store/postgres.ts';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import { LEASE_MS } from './home.ts';
import { postgresHome } from './homes.ts';
import { auditOf, runOf, taskOf } from './samples.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const GONE = { code: 'UNAVAILABLE', hint: expect.stringContaining('PostgreSQL') as string };

describe('a connection', () => {
  test('that is lost while idle is told as unavailable, and made anew when the server is back', async () => {
    await using place = await postgresHome(server);
    const store = await place.open();
    await store.transaction((view) => view.putTask(taskOf('before')));
    await server.halt();
    try {
      await expect(store.tasks()).rejects.toMatchObject(GONE);
      await expect(store.transaction((view) => view.putTask(taskOf('lost')))).rejects.toMatchObject(GONE);
      await expect(store.takeLead({ holder: 'x', address: '' }, 1)).rejects.toMatchObject(GONE);
    } finally {
      await server.begin();
    }
    await store.transaction((view) => view.putTask(taskOf('after')));
    expect((await store.tasks()).map(({ name }) => name)).toEqual(['after', 'before']);
  });

  test('that is lost within a change writes nothing of it, and ends nothing else', async () => {
    await using place = await postgresHome(server);
    const store = await place.open();
    const change = store.transaction(async (view) => {
      await view.putTask(taskOf('lost'));
      await server.sql(
        'postgres',
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${place.database}' and state = 'idle in transaction'`,
      );
      await view.putTask(taskOf('lost too'));
    });
    await expect(change).rejects.toMatchObject(GONE);
    expect(await store.tasks()).toEqual([]);
    await store.transaction((view) => view.putTask(taskOf('after')));
    expect((await store.tasks()).length).toBe(1);
  });
});

describe('a leader that stands still', () => {
  test('within a change loses it, when its time is over, and the lead goes to another', async () => {
    await using place = await postgresHome(server);
    const old = await place.follow({ idleInTransactionMs: 300 });
    await old.takeLead({ holder: 'old', address: 'old:1' }, 1);
    const goOn = Promise.withResolvers<void>();
    const within = Promise.withResolvers<void>();
    const change = old.transaction(async (view) => {
      await view.putTask(taskOf('half'));
      within.resolve();
      await goOn.promise;
      await view.putTask(taskOf('other half'));
    });
    await within.promise;
    const next = await place.follow();
    // It waits for the row until the server has ended the change.
    expect(await next.takeLead({ holder: 'new', address: 'new:1' }, LEASE_MS)).toMatchObject({ kind: 'leading' });
    await next.transaction((view) => view.putTask(taskOf('of the new leader')));
    goOn.resolve();
    await expect(change).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(old.transaction((view) => view.putTask(taskOf('late')))).rejects.toMatchObject({
      code: 'NOT_LEADER',
      hint: expect.stringContaining('new:1') as string,
    });
    expect((await next.tasks()).map(({ name }) => name)).toEqual(['of the new leader']);
  });

  test('keeps the lead for as long as its lease stands, and only so long', async () => {
    await using place = await postgresHome(server);
    const old = await place.follow();
    const next = await place.follow();
    const lead = await old.takeLead({ holder: 'old', address: 'old:1' }, 700);
    const asked = await next.takeLead({ holder: 'new', address: 'new:1' }, LEASE_MS);
    expect(asked).toMatchObject({ kind: 'following', leader: 'old:1', holder: 'old' });
    const taken = await vi.waitFor(
      async () => {
        const found = await next.takeLead({ holder: 'new', address: 'new:1' }, LEASE_MS);
        if (found.kind !== 'leading' || lead.kind !== 'leading') throw new Error('not yet');
        return found;
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(lead.kind === 'leading' && taken.term - lead.term).toBe(1);
  });

  test('that never asked changes nothing', async () => {
    await using place = await postgresHome(server);
    const store = await place.follow();
    await expect(store.transaction((view) => view.putTask(taskOf('x')))).rejects.toMatchObject({ code: 'NOT_LEADER' });
    expect(await store.tasks()).toEqual([]);
  });
});

describe('changes', () => {
  test('that the database gives up for another session are done again, once', async () => {
    await using place = await postgresHome(server);
    const store = await place.open();
    const foreign = await server.client(place.database);
    try {
      // The other never gives up: the store's change is the one that the server ends.
      await foreign.query("set deadlock_timeout = '1h'");
      await foreign.query('begin; lock table audit in access exclusive mode');
      let attempts = 0;
      let waits: Promise<unknown> = Promise.resolve();
      await store.transaction(async (view) => {
        attempts++;
        await view.putTask(taskOf('once', { lastStartedMs: attempts }));
        if (attempts === 1) {
          waits = foreign.query('select * from leadership for update').then(() => foreign.query('commit'));
          await vi.waitFor(
            async () => {
              const waiting = await server.sql(
                place.database,
                "select 1 from pg_locks where not granted and locktype = 'transactionid'",
              );
              if (waiting.length === 0) throw new Error('it does not wait yet');
            },
            { timeout: 10_000, interval: 20 },
          );
        }
        await view.audit(auditOf('once'));
      });
      await waits;
      expect(attempts).toBe(2);
      expect((await store.task('once'))?.lastStartedMs).toBe(2);
      expect((await store.listAudit({ size: 10, token: '' })).items.length).toBe(1);
    } finally {
      await foreign.end();
    }
  });

  test('are strictly one after another whatever the default of the server is', async () => {
    await using place = await postgresHome(server);
    await server.sql(place.database, `alter database ${place.database} set default_transaction_isolation = 'serializable'`);
    const store = await place.open();
    let attempts = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        store.transaction(async (view) => {
          attempts++;
          await view.putTask(taskOf('counter', { lastStartedMs: ((await view.task('counter'))?.lastStartedMs ?? 0) + 1 }));
        }),
      ),
    );
    expect((await store.task('counter'))?.lastStartedMs).toBe(20);
    expect(attempts, 'none had to be done again').toBe(20);
  });

  test('are on the disk before they are answered, even where the server does not ask for it', async () => {
    await using place = await postgresHome(server);
    await server.sql(place.database, `alter database ${place.database} set synchronous_commit = off`);
    const database = await openPostgres(place.where());
    const { rows } = await sql<{ synchronous_commit: string }>`show synchronous_commit`.execute(database.db);
    await database.db.destroy();
    expect(rows).toEqual([{ synchronous_commit: 'on' }]);
  });

  test('to numbers beyond what can be counted exactly are never read as something near', async () => {
    await using place = await postgresHome(server);
    const store = await place.open();
    await store.transaction((view) => view.raiseAlarm({ id: 1, subject: 'x', detail: '', raisedMs: 9_007_199_254_740_991 }));
    expect((await store.openAlarms())[0]?.raisedMs).toBe(9_007_199_254_740_991);
    await server.sql(place.database, 'update alarms set raised_ms = 9007199254740993');
    await expect(store.openAlarms()).rejects.toMatchObject({ code: 'DAMAGED' });
    await store.transaction((view) => view.putRun(runOf('r1', 'waiting')));
  });

  test('and tables are there after two controllers have begun on an empty database at once', async () => {
    await using place = await postgresHome(server);
    const stores = await Promise.all([place.follow(), place.follow(), place.follow()]);
    expect(await Promise.all(stores.map((store) => store.tasks()))).toEqual([[], [], []]);
    expect(await place.rows('select term::int from leadership')).toEqual([{ term: 0 }]);
  });
});
