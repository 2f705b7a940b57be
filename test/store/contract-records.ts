import { describe, expect, it } from 'vitest';
import type { NewHome } from './home.ts';
import { HUGE, ODD_TEXT, everyPage, fileOf, leftoverOf, lineOf, restoreOf, runOf, setOf, taskOf } from './samples.ts';

export function recordsContract(home: NewHome): void {
  describe('records', () => {
    it('gives back what was written, to the byte, also after it was closed', async () => {
      await using place = await home();
      const task = taskOf('nightly', { sources: [{ source: 'DBService', databases: [ODD_TEXT], nameService: '' }] });
      const run = runOf('r1', 'failed', ['OMS'], {
        fault: { code: 'TOOL', message: `it said: \0 and ${ODD_TEXT}`, hint: '' },
        startedFrom: task,
        sources: [],
      });
      const set = setOf('s1', 'nightly', ['mn1', 'mn2'], { files: [{ file: fileOf('OMS'), nodes: ['mn1'] }] });
      const restore = restoreOf('back', 's1');
      const first = await place.open();
      await first.transaction(async (view) => {
        await view.putTask(task);
        await view.putRun(run);
        await view.putSet(set);
        await view.putRestore(restore);
        await view.addLog(lineOf('r1', ODD_TEXT));
      });
      await first.close();

      const second = await place.open();
      expect(await second.task('nightly')).toEqual(task);
      expect(await second.run('r1')).toEqual(run);
      expect(await second.set('s1')).toEqual(set);
      expect((await second.set('s1'))?.files[0]?.file.archive.size).toBe(HUGE);
      expect(await second.restore('back')).toEqual(restore);
      expect(await everyPage((page) => second.listLog('r1', page))).toEqual([lineOf('r1', ODD_TEXT)]);
    });

    it('knows nothing of what was never written', async () => {
      await using place = await home();
      const store = await place.open();
      for (const name of ['none', '', "'; --", 'a\0b']) {
        expect(await store.task(name)).toBeUndefined();
        expect(await store.run(name)).toBeUndefined();
        expect(await store.set(name)).toBeUndefined();
        expect(await store.restore(name)).toBeUndefined();
        expect(await store.answer(name)).toBeUndefined();
        expect(await store.setsOf(name)).toEqual([]);
      }
    });

    it('replaces what is written again, and keeps its place', async () => {
      await using place = await home();
      const store = await place.open();
      await store.transaction(async (view) => {
        await view.putTask(taskOf('a', { lastStartedMs: 1 }));
        await view.putTask(taskOf('a', { lastStartedMs: 9 }));
        for (const id of ['r1', 'r2']) await view.putRun(runOf(id, 'waiting'));
        await view.putRun(runOf('r1', 'stopped'));
        for (const id of ['s1', 's2']) await view.putSet(setOf(id, 'a', ['mn1']));
        await view.putSet(setOf('s1', 'a', ['mn1', 'mn2']));
        await view.putRestore(restoreOf('x', 's1'));
        await view.putRestore({ ...restoreOf('x', 's1'), lastRunId: 'r9' });
      });
      expect((await store.tasks()).map(({ lastStartedMs }) => lastStartedMs)).toEqual([9]);
      expect((await everyPage((page) => store.listRuns('', page))).map(({ id, state }) => [id, state])).toEqual([
        ['r2', 'waiting'],
        ['r1', 'stopped'],
      ]);
      expect((await store.setsOf('a')).map(({ id, files }) => [id, files[0]?.nodes.length])).toEqual([
        ['s1', 2],
        ['s2', 1],
      ]);
      expect((await store.restores()).map(({ lastRunId }) => lastRunId)).toEqual(['r9']);
    });

    it('forgets what is deleted, and nothing else', async () => {
      await using place = await home();
      const store = await place.open();
      await store.transaction(async (view) => {
        for (const name of ['a', 'b']) await view.putTask(taskOf(name));
        for (const id of ['s1', 's2']) await view.putSet(setOf(id, 'a', ['mn1']));
        for (const prefix of ['p1', 'p2']) await view.putLeftover(leftoverOf('r1', prefix, ['mn1']));
      });
      await store.transaction(async (view) => {
        await view.deleteTask('a');
        await view.deleteTask('never was');
        await view.deleteSet('s1');
        await view.deleteLeftover(leftoverOf('r1', 'p1', []));
      });
      expect((await store.tasks()).map(({ name }) => name)).toEqual(['b']);
      expect((await store.setsOf('a')).map(({ id }) => id)).toEqual(['s2']);
      expect(await store.leftoversOf('r1')).toEqual([leftoverOf('r1', 'p2', ['mn1'])]);
    });

    it('keeps one leftover a run and prefix, the newest', async () => {
      await using place = await home();
      const store = await place.open();
      await store.transaction(async (view) => {
        await view.putLeftover(leftoverOf('r1', 'p', ['mn1', 'mn2']));
        await view.putLeftover(leftoverOf('r1', 'p', ['mn2']));
        await view.putLeftover(leftoverOf('r2', 'p', ['mn1']));
      });
      const [one, two] = [leftoverOf('r1', 'p', ['mn2']), leftoverOf('r2', 'p', ['mn1'])];
      const first = await store.leftovers({ size: 1, token: '' });
      expect(first.items).toEqual([one]);
      expect(await store.leftovers({ size: 1, token: first.next })).toEqual({ items: [two], next: '' });
      expect((await store.leftovers({ size: 9, token: '' })).items).toEqual([one, two]);
    });

    it('gives the answer to a request id once, and refuses another for the same id', async () => {
      await using place = await home();
      const store = await place.open();
      const answer = { method: 'RunTask', digest: 'd', response: new Uint8Array([0, 1, 255, 0]) };
      await store.transaction((view) => view.putAnswer('id', answer, 1000));
      const found = await store.answer('id');
      expect({ ...found, response: [...(found?.response ?? [])] }).toEqual({ ...answer, response: [0, 1, 255, 0] });
      await expect(store.transaction((view) => view.putAnswer('id', { ...answer, digest: 'e' }, 1001))).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
      expect((await store.answer('id'))?.digest).toBe('d');

      await store.transaction((view) => view.putAnswer('later', answer, 2000));
      await store.transaction((view) => view.forgetAnswers(2000));
      expect(await store.answer('id')).toBeUndefined();
      expect(await store.answer('later')).toBeDefined();
    });

    it('writes all of a transaction or nothing of it', async () => {
      await using place = await home();
      const store = await place.open();
      await store.transaction((view) => view.putTask(taskOf('kept')));
      const fails = store.transaction(async (view) => {
        await view.putTask(taskOf('lost'));
        await view.deleteTask('kept');
        await view.putRun(runOf('r1', 'running'));
        await view.addLog(lineOf('r1', 'lost'));
        await view.raiseAlarm({ id: 12034, subject: 'a', detail: '', raisedMs: 1 });
        expect(await view.task('lost'), 'it sees what it has written').toBeDefined();
        throw new Error('the caller changed its mind');
      });
      await expect(fails).rejects.toThrow('the caller changed its mind');
      expect((await store.tasks()).map(({ name }) => name)).toEqual(['kept']);
      expect(await store.openRuns()).toEqual([]);
      expect(await store.openAlarms()).toEqual([]);
      expect(await place.rows('SELECT run FROM log UNION ALL SELECT run FROM claims')).toEqual([]);
      await store.transaction((view) => view.putRun(runOf('r2', 'running')));
    });

    it('loses no change when many are asked for at once', async () => {
      await using place = await home();
      const store = await place.open();
      await store.transaction((view) => view.putTask(taskOf('counter', { lastStartedMs: 0 })));
      const increase = () =>
        store.transaction(async (view) => {
          const task = await view.task('counter');
          await view.putTask(taskOf('counter', { lastStartedMs: (task?.lastStartedMs ?? 0) + 1 }));
        });
      await Promise.all(Array.from({ length: 40 }, increase));
      expect((await store.task('counter'))?.lastStartedMs).toBe(40);
    });
  });
}
