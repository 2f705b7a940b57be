import { describe, expect, it } from 'vitest';
import type { NewHome } from './home.ts';
import { LEASE_MS } from './home.ts';
import { taskOf } from './samples.ts';

export function leadershipContract(home: NewHome): void {
  describe('leadership', () => {
    const me = { holder: 'mn1', address: 'mn1:7443' };
    const other = { holder: 'mn2', address: 'mn2:7443' };
    const termIn = async (rows: Promise<Record<string, unknown>[]>) => Number((await rows)[0]?.['term']);
    const ROW = 'SELECT term FROM leadership';

    it('keeps its term while it is asked for again or renewed', async () => {
      await using place = await home();
      const store = await place.open();
      const first = await store.takeLead(me, LEASE_MS);
      const term = await termIn(place.rows(ROW));
      expect(first).toEqual({ kind: 'leading', term });
      expect(await store.takeLead(me, LEASE_MS)).toEqual(first);
      expect(await store.renewLead(term, LEASE_MS)).toEqual(first);
      expect(await store.renewLead(term - 1, LEASE_MS)).toMatchObject({ kind: 'following', leader: 'mn1:7443', holder: 'mn1' });
    });

    it('fences the one before: it changes nothing, and tells where the leader is', async () => {
      await using place = await home();
      const old = await place.open();
      await old.transaction((view) => view.putTask(taskOf('before')));
      const { term: oldTerm } = await leading(old.takeLead(me, 0));
      const next = await place.open();
      const { term } = await leading(next.takeLead(other, LEASE_MS));
      expect(term).toBeGreaterThan(oldTerm);

      await expect(old.transaction((view) => view.putTask(taskOf('late')))).rejects.toMatchObject({
        code: 'NOT_LEADER',
        hint: expect.stringContaining('mn2:7443') as string,
        details: { leader: 'mn2:7443' },
      });
      expect(await old.renewLead(oldTerm, LEASE_MS)).toMatchObject({ kind: 'following', leader: 'mn2:7443' });
      await old.resign(oldTerm);
      const following = await old.takeLead(me, LEASE_MS);
      expect(following).toMatchObject({ kind: 'following', leader: 'mn2:7443', holder: 'mn2' });
      await expect(old.transaction(async () => undefined)).rejects.toMatchObject({ code: 'NOT_LEADER' });

      expect(
        (await old.tasks()).map(({ name }) => name),
        'it still reads',
      ).toEqual(['before']);
      await next.transaction((view) => view.putTask(taskOf('after')));
      expect((await old.tasks()).map(({ name }) => name)).toEqual(['after', 'before']);
    });

    it('is not taken within a change of the leader: the change is written first, and no second one', async () => {
      await using place = await home();
      const old = await place.open();
      const { term } = await leading(old.takeLead(me, 0));
      const within = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const change = old.transaction(async (view) => {
        await view.putTask(taskOf('first half'));
        within.resolve();
        await goOn.promise;
        await view.putTask(taskOf('second half'));
      });
      await within.promise;
      const takeover = place.open();
      for (let look = 0; look < 20; look++) expect(await termIn(place.rows(ROW))).toBe(term);
      goOn.resolve();
      await change;
      const next = await takeover;
      expect((await next.tasks()).map(({ name }) => name)).toEqual(['first half', 'second half']);
      await expect(old.transaction((view) => view.putTask(taskOf('third')))).rejects.toMatchObject({ code: 'NOT_LEADER' });
    });

    it('is free at once when the leader resigns, who changes nothing more', async () => {
      await using place = await home();
      const store = await place.open();
      const { term } = await leading(store.takeLead(me, LEASE_MS));
      await store.resign(term);
      await expect(store.transaction(async () => undefined)).rejects.toMatchObject({
        code: 'NOT_LEADER',
        details: { leader: '' },
      });
      const again = await leading(store.takeLead(me, LEASE_MS));
      expect(again.term).toBeGreaterThan(term);
      await store.transaction((view) => view.putTask(taskOf('again')));
    });

    it('goes to one of many who ask at once, and no change is lost as it goes round', async () => {
      await using place = await home();
      await (await place.open()).transaction((view) => view.putTask(taskOf('counter', { lastStartedMs: 0 })));
      let done = 0;
      const turn = async () => {
        const store = await place.open();
        try {
          await store.transaction(async (view) => {
            await view.putTask(taskOf('counter', { lastStartedMs: ((await view.task('counter'))?.lastStartedMs ?? 0) + 1 }));
          });
          done++;
        } catch (error) {
          expect(error).toMatchObject({ code: 'NOT_LEADER' });
        }
      };
      await Promise.all(Array.from({ length: 5 }, turn));
      const last = await place.open();
      expect(done).toBeGreaterThan(0);
      expect((await last.task('counter'))?.lastStartedMs).toBe(done);
    });
  });
}

async function leading(lead: ReturnType<Awaited<ReturnType<Awaited<ReturnType<NewHome>>['open']>>['takeLead']>) {
  const found = await lead;
  if (found.kind !== 'leading') throw new Error(`it does not lead: ${JSON.stringify(found)}`);
  return found;
}
