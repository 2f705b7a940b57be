import { describe, expect, it } from 'vitest';
import type { Page, PageRequest, Store, StoreView } from '../../controller/store/store.ts';
import type { NewHome } from './home.ts';
import { ODD_TEXT, auditOf, everyPage, lineOf, runOf, setOf, taskOf } from './samples.ts';

interface List {
  readonly of: string;
  readonly newestFirst: boolean;
  add(view: StoreView, number: number): Promise<void>;
  /** The numbers shown. */
  page(store: Store, page: PageRequest): Promise<Page<number>>;
}

async function numbers<T>(page: Promise<Page<T>>, number: (item: T) => string): Promise<Page<number>> {
  const { items, next } = await page;
  return { items: items.map((item) => Number(number(item))), next };
}

const LISTS: readonly List[] = [
  {
    of: 'runs of a task',
    newestFirst: true,
    async add(view, number) {
      await view.putRun(runOf(`other${number}`, 'successful', ['OMS'], { task: 'other' }));
      await view.putRun(runOf(String(number), 'successful'));
    },
    page: (store, page) => numbers(store.listRuns('nightly', page), ({ id }) => id),
  },
  {
    of: 'runs of all tasks',
    newestFirst: true,
    add: (view, number) => view.putRun(runOf(String(number), 'failed', ['OMS'], { task: `task${number % 3}` })),
    page: (store, page) => numbers(store.listRuns('', page), ({ id }) => id),
  },
  {
    of: 'sets of a task',
    newestFirst: true,
    async add(view, number) {
      await view.putSet(setOf(`other${number}`, 'other', ['mn1']));
      await view.putSet(setOf(String(number), 'nightly', ['mn1']));
    },
    page: (store, page) => numbers(store.listSets('nightly', page), ({ id }) => id),
  },
  {
    of: 'sets that go',
    newestFirst: false,
    async add(view, number) {
      await view.putSet(setOf(`stays${number}`, 'nightly', ['mn1']));
      await view.putSet(setOf(String(number), 'nightly', ['mn1'], { deleting: { sinceMs: 1, unlisted: [] } }));
    },
    page: (store, page) => numbers(store.setsToDelete(page), ({ id }) => id),
  },
  {
    of: 'sets that lack files on a node',
    newestFirst: false,
    async add(view, number) {
      await view.putSet(setOf(`whole${number}`, 'nightly', ['mn1', 'mn2', 'old']));
      await view.putSet(setOf(String(number), 'nightly', number % 2 === 0 ? ['mn1', 'old'] : ['mn1']));
    },
    page: (store, page) => numbers(store.setsLacking(['mn1', 'mn2'], page), ({ id }) => id),
  },
  {
    of: 'log lines of a run',
    newestFirst: false,
    async add(view, number) {
      await view.addLog(lineOf('other', 'not shown'));
      await view.addLog(lineOf('r1', String(number)));
    },
    page: (store, page) => numbers(store.listLog('r1', page), ({ message }) => message),
  },
  {
    of: 'alarms that are up',
    newestFirst: true,
    async add(view, number) {
      await view.raiseAlarm({ id: 12034, subject: 'cleared', detail: '', raisedMs: number });
      await view.clearAlarm(12034, 'cleared', number);
      await view.raiseAlarm({ id: 12034, subject: String(number), detail: ODD_TEXT, raisedMs: number });
    },
    page: (store, page) => numbers(store.listAlarms(false, page), ({ subject }) => subject),
  },
  {
    of: 'audit lines',
    newestFirst: true,
    add: (view, number) => view.audit(auditOf(String(number))),
    page: (store, page) => numbers(store.listAudit(page), ({ subject }) => subject),
  },
];

export function listsContract(home: NewHome): void {
  describe.each(LISTS)('the list of $of', (list) => {
    it('comes in pages, in order, that stay stable while rows are added', async () => {
      await using place = await home();
      const store = await place.open();
      const add = (from: number, to: number) =>
        store.transaction(async (view) => {
          for (let number = from; number <= to; number++) await list.add(view, number);
        });
      await add(1, 5);
      const first = await list.page(store, { size: 2, token: '' });
      await add(6, 7);
      const second = await list.page(store, { size: 2, token: first.next });
      const third = await list.page(store, { size: 2, token: second.next });
      if (list.newestFirst) {
        expect([first.items, second.items, third.items, third.next]).toEqual([[5, 4], [3, 2], [1], '']);
      } else {
        expect([first.items, second.items, third.items]).toEqual([
          [1, 2],
          [3, 4],
          [5, 6],
        ]);
      }
      const all = await everyPage((page) => list.page(store, page), 3);
      expect(all).toEqual(list.newestFirst ? [7, 6, 5, 4, 3, 2, 1] : [1, 2, 3, 4, 5, 6, 7]);
      const exact = await list.page(store, { size: 7, token: '' });
      expect(exact.next, 'a page that shows the last row has no next one').toBe('');
    });

    it.each(['x', '-1', '1.5', '1e3', ' 1', '9999999999999999', "1'; DROP TABLE runs"])('refuses the token %j', async (token) => {
      await using place = await home();
      const store = await place.open();
      await expect(list.page(store, { size: 2, token })).rejects.toMatchObject({ code: 'INVALID' });
    });
  });

  describe('bounded questions', () => {
    it('tells the runs that are open, oldest first, and no others', async () => {
      await using place = await home();
      const store = await place.open({ slots: 2 });
      await store.transaction(async (view) => {
        await view.putRun(runOf('r1', 'running', ['OMS']));
        await view.putRun(runOf('r2', 'waiting'));
        for (const state of ['successful', 'failed', 'stopped', 'skipped'] as const) await view.putRun(runOf(state, state));
        await view.putRun(runOf('r3', 'waiting'));
        await view.putRun(runOf('r4', 'running', ['NameNode']));
      });
      expect((await store.openRuns()).map(({ id }) => id)).toEqual(['r1', 'r2', 'r3', 'r4']);
      expect((await store.run('skipped'))?.state).toBe('skipped');
    });

    it('tells the sets that go, and those that lack files on a node', async () => {
      await using place = await home();
      const store = await place.open();
      const two = setOf('two files', 'b', ['mn1', 'mn2']);
      await store.transaction(async (view) => {
        await view.putSet(setOf('whole', 'a', ['mn2', 'mn1']));
        await view.putSet(setOf('lacks mn2', 'a', ['mn1']));
        await view.putSet(setOf('nowhere', 'a', []));
        await view.putSet(setOf('goes', 'a', ['mn1'], { deleting: { sinceMs: 1, unlisted: [] } }));
        await view.putSet(setOf('also elsewhere', 'b', ['mn1', 'mn2', 'aaa', 'zzz']));
        await view.putSet({ ...two, files: [...two.files, ...setOf('', '', ['mn2']).files] });
      });
      const page = { size: 100, token: '' };
      const ids = (sets: readonly { id: string }[]) => sets.map(({ id }) => id);
      const going = async () => ids((await store.setsToDelete(page)).items);
      const lacking = async (...nodes: string[]) => ids((await store.setsLacking(nodes, page)).items);
      expect(await going()).toEqual(['goes']);
      expect(await lacking('mn1', 'mn2')).toEqual(['lacks mn2', 'nowhere', 'two files']);
      expect(await lacking('mn1')).toEqual(['nowhere', 'two files']);
      expect(await lacking('new')).toEqual(['whole', 'lacks mn2', 'nowhere', 'also elsewhere', 'two files']);
      expect(ids(await store.setsOf('a'))).toEqual(['whole', 'lacks mn2', 'nowhere']);
      await store.transaction((view) =>
        view.putSet(setOf('lacks mn2', 'a', ['mn1', 'mn2'], { deleting: { sinceMs: 1, unlisted: [] } })),
      );
      expect(await going()).toEqual(['lacks mn2', 'goes']);
      expect(await lacking('mn1', 'mn2')).toEqual(['nowhere', 'two files']);
    });

    it('tells tasks and restores in the order of the bytes of their names', async () => {
      await using place = await home();
      const store = await place.open();
      const names = ['b', 'B', 'a_1', 'a1', '_x', 'Z9'];
      await store.transaction(async (view) => {
        for (const name of names) await view.putTask(taskOf(name));
      });
      expect((await store.tasks()).map(({ name }) => name)).toEqual(names.toSorted());
    });

    it('raises an alarm of an id and subject once, and tells whether it did', async () => {
      await using place = await home();
      const store = await place.open();
      const raise = (subject: string, raisedMs: number) =>
        store.transaction((view) => view.raiseAlarm({ id: 12034, subject, detail: `NUL \0 ${ODD_TEXT}`, raisedMs }));
      const clear = (subject: string, ms: number) => store.transaction((view) => view.clearAlarm(12034, subject, ms));
      expect(await Promise.all([raise('a', 1), raise('a', 2)])).toEqual([true, false]);
      expect(await raise('b', 3)).toBe(true);
      expect(await clear('a', 4)).toBe(true);
      expect(await clear('a', 5)).toBe(false);
      expect(await raise('a', 6)).toBe(true);
      const alarm = { id: 12034, detail: `NUL \uFFFD ${ODD_TEXT}`, clearedMs: undefined };
      expect(await store.openAlarms()).toEqual([
        { ...alarm, subject: 'b', raisedMs: 3 },
        { ...alarm, subject: 'a', raisedMs: 6 },
      ]);
      expect(await everyPage((page) => store.listAlarms(true, page))).toEqual([
        { ...alarm, subject: 'a', raisedMs: 6 },
        { ...alarm, subject: 'b', raisedMs: 3 },
        { ...alarm, subject: 'a', raisedMs: 1, clearedMs: 4 },
      ]);
    });
  });
}
