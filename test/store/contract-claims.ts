import { describe, expect, it } from 'vitest';
import type { Run } from '../../controller/model.ts';
import type { Store } from '../../controller/store/store.ts';
import type { NewHome } from './home.ts';
import { runOf } from './samples.ts';

export function claimsContract(home: NewHome): void {
  describe('runs that run', () => {
    const put = (store: Store, ...runs: Run[]) =>
      store.transaction(async (view) => {
        for (const run of runs) await view.putRun(run);
      });
    const claims = 'SELECT name, run FROM claims ORDER BY name';

    it('are one at a time when nothing else was set, whatever their sources', async () => {
      await using place = await home();
      const store = await place.open();
      await put(store, runOf('r1', 'running', ['OMS']));
      await expect(put(store, runOf('r2', 'running', ['NameNode']))).rejects.toMatchObject({
        code: 'LIMIT',
        message: expect.stringContaining('r1') as string,
      });
      expect(await store.run('r2'), 'nothing of it was written').toBeUndefined();
      await put(store, runOf('r1', 'running', ['OMS'], { stopReason: 'written again' }));
      await put(store, runOf('r1', 'successful', ['OMS']), runOf('r2', 'running', ['NameNode']));
      expect(await place.rows(claims)).toEqual([
        { name: 'slot:1', run: 'r2' },
        { name: 'source:NameNode', run: 'r2' },
      ]);
    });

    it('are as many as there are slots', async () => {
      await using place = await home();
      const store = await place.open({ slots: 2 });
      await put(store, runOf('r1', 'running', ['OMS']), runOf('r2', 'running', ['NameNode']));
      await expect(put(store, runOf('r3', 'running', ['LdapServer']))).rejects.toMatchObject({ code: 'LIMIT' });
      await put(store, runOf('r1', 'failed', ['OMS']));
      await put(store, runOf('r3', 'running', ['LdapServer']));
      expect((await store.openRuns()).map(({ id }) => id)).toEqual(['r2', 'r3']);
    });

    it('never share a source, be it to back up or to restore', async () => {
      await using place = await home();
      const store = await place.open({ slots: 5 });
      await put(store, runOf('r1', 'running', ['OMS', 'LdapServer']));
      for (const kind of ['backup', 'restore'] as const) {
        await expect(put(store, runOf('r2', 'running', ['NameNode', 'LdapServer'], { kind }))).rejects.toMatchObject({
          code: 'REFUSED',
          message: expect.stringContaining('LdapServer is in use by the run r1') as string,
        });
      }
      await put(store, runOf('r3', 'running', ['NameNode', 'DBService']));
      expect((await place.rows(claims)).length).toBe(6);
      await put(store, runOf('r1', 'stopped', ['OMS', 'LdapServer']), runOf('r3', 'skipped', ['NameNode', 'DBService']));
      expect(await place.rows(claims)).toEqual([]);
    });

    it('leave the transaction of a refused one able to go on', async () => {
      await using place = await home();
      const store = await place.open();
      await put(store, runOf('r1', 'running'));
      await store.transaction(async (view) => {
        await expect(view.putRun(runOf('r2', 'running'))).rejects.toMatchObject({ code: 'LIMIT' });
        await view.putRun(runOf('r2', 'waiting'));
      });
      expect((await store.openRuns()).map(({ id, state }) => [id, state])).toEqual([
        ['r1', 'running'],
        ['r2', 'waiting'],
      ]);
    });

    it('are never too many when all are asked for at once', async () => {
      await using place = await home();
      const store = await place.open({ slots: 3 });
      const sources = ['OMS', 'LdapServer', 'DBService', 'NameNode'] as const;
      const asked = sources.flatMap((source) =>
        [1, 2].map((number) => put(store, runOf(`${source}${number}`, 'running', [source]))),
      );
      const ends = await Promise.allSettled(asked);
      expect(ends.filter(({ status }) => status === 'fulfilled').length).toBe(3);
      const running = await store.openRuns();
      expect(new Set(running.flatMap((run) => run.sources.map(({ source }) => source))).size).toBe(3);
    });

    it('hold their slot when fewer are allowed after a restart', async () => {
      await using place = await home();
      const before = await place.open({ slots: 2 });
      await put(before, runOf('r1', 'running', ['OMS']), runOf('r2', 'running', ['NameNode']));
      await before.close();
      const store = await place.open({ slots: 1 });
      await put(store, runOf('r1', 'running', ['OMS']), runOf('r2', 'running', ['NameNode'], { stopReason: 'x' }));
      await put(store, runOf('r1', 'failed', ['OMS']));
      await put(store, runOf('r3', 'running', ['OMS']));
      await expect(put(store, runOf('r4', 'running', ['LdapServer']))).rejects.toMatchObject({ code: 'LIMIT' });
    });
  });
}
