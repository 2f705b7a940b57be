/** What every store must do, whatever stands below it: run on each driver. */
import { describe, expect, test } from 'vitest';
import type { BackupSet, Run, Task } from '../../controller/model.ts';
import type { Page, PageRequest, Store } from '../../controller/store/store.ts';

export const aRun = (id: string, changes: Partial<Run> = {}): Run => ({
  id,
  kind: 'backup',
  task: 'nightly',
  trigger: 'manual',
  state: 'successful',
  createdMs: 1,
  startedMs: 1,
  endedMs: undefined,
  fault: undefined,
  setId: 's',
  sources: [],
  stopReason: undefined,
  startedFrom: undefined,
  topology: [],
  productVersion: '0.1.0',
  ...changes,
});

const aTask = (name: string): Task => ({
  name,
  createdMs: 1,
  system: false,
  sources: [{ source: 'OMS', databases: [], nameService: '' }],
  copies: 2,
  schedule: { kind: 'manual' },
  locked: false,
  nextStartMs: undefined,
  lastRunId: undefined,
  lastStartedMs: undefined,
});

export function aSet(id: string, nodes: readonly (readonly string[])[], changes: Partial<BackupSet> = {}): BackupSet {
  const stored = (key: string) => ({ key, size: 2n ** 60n, sha256: 'a'.repeat(64) });
  const file = { manifest: stored('m'), archive: stored('a'), index: stored('i'), entries: 1, contentBytes: 2n ** 61n };
  return {
    id,
    task: 'nightly',
    runId: 'r',
    createdMs: 1,
    files: nodes.map((each) => ({ file: { source: 'OMS', ...file }, nodes: each })),
    missingSources: [],
    deleting: false,
    verifiedMs: undefined,
    productVersion: '0.1.0',
    topology: ['mn1: '],
    ...changes,
  };
}

const ids = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);

async function allOf<T>(ask: (page: PageRequest) => Promise<Page<T>>, size: number): Promise<T[]> {
  const items: T[] = [];
  let token = '';
  do {
    const page = await ask({ size, token });
    expect(page.items.length).toBeLessThanOrEqual(size);
    items.push(...page.items);
    token = page.next;
  } while (token !== '');
  return items;
}

export function storeContract(open: () => Promise<Store>): void {
  const withStore = (work: (store: Store) => Promise<void>) => async () => {
    const store = await open();
    try {
      await work(store);
    } finally {
      await store.close();
    }
  };

  describe('a store', () => {
    test(
      'gives back what was put, sizes and absences included, and the newer of two',
      withStore(async (store) => {
        const set = aSet('s1', [['mn1']]);
        const run = aRun('r1', { state: 'waiting' });
        await store.transaction(async (change) => {
          await change.putSet(set);
          await change.putTask(aTask('nightly'));
          await change.putRun(run);
          await change.putRun({ ...run, state: 'running' });
        });
        expect(await store.set('s1')).toEqual(set);
        expect(await store.task('nightly')).toEqual(aTask('nightly'));
        expect(await store.run('r1')).toEqual({ ...run, state: 'running' });
        expect([await store.run('x'), await store.set('x'), await store.task('x'), await store.restore('x')]).toEqual([
          undefined,
          undefined,
          undefined,
          undefined,
        ]);
      }),
    );

    test(
      'writes a transaction whole or not at all',
      withStore(async (store) => {
        const failing = store.transaction(async (change) => {
          await change.putTask(aTask('nightly'));
          await change.raiseAlarm({ id: 1, subject: 'x', detail: '', raisedMs: 1 });
          throw new Error('after all');
        });
        await expect(failing).rejects.toThrow('after all');
        expect([await store.tasks(), await store.openAlarms()]).toEqual([[], []]);
      }),
    );

    test(
      'holds by itself that one run is running',
      withStore(async (store) => {
        await store.transaction((change) => change.putRun(aRun('r1', { state: 'running' })));
        await expect(store.transaction((change) => change.putRun(aRun('r2', { state: 'running' })))).rejects.toThrow();
        await store.transaction(async (change) => {
          await change.putRun(aRun('r1', { state: 'failed' }));
          await change.putRun(aRun('r2', { state: 'running' }));
        });
        expect(ids(await store.openRuns())).toEqual(['r2']);
      }),
    );

    test(
      'tells of open runs oldest first, and of all runs newest first, in pages, each once',
      withStore(async (store) => {
        await store.transaction(async (change) => {
          for (let n = 0; n < 7; n++)
            await change.putRun(aRun(`r${n}`, { state: n % 2 === 0 ? 'waiting' : 'failed', task: n < 4 ? 'nightly' : 'other' }));
          await change.putRun(aRun('r0', { state: 'waiting', fault: { code: 'X', message: '', hint: '' } }));
        });
        expect(ids(await store.openRuns())).toEqual(['r0', 'r2', 'r4', 'r6']);
        expect(ids(await allOf((page) => store.listRuns('', page), 3))).toEqual(['r6', 'r5', 'r4', 'r3', 'r2', 'r1', 'r0']);
        expect(ids(await allOf((page) => store.listRuns('nightly', page), 2))).toEqual(['r3', 'r2', 'r1', 'r0']);
        await expect(store.listRuns('', { size: 1, token: "1' OR 1" })).rejects.toMatchObject({ code: 'INVALID' });
      }),
    );

    test(
      'tells which sets a node lacks and which go, bounded, and of a task in the order they were made',
      withStore(async (store) => {
        await store.transaction(async (change) => {
          await change.putSet(
            aSet(
              'whole',
              [
                ['mn1', 'mn2'],
                ['mn2', 'mn1'],
              ],
              { createdMs: 99 },
            ),
          );
          await change.putSet(aSet('half', [['mn1', 'mn2'], ['mn1']]));
          await change.putSet(aSet('none', [['mn1'], ['mn1']]));
          await change.putSet(aSet('goes', [['mn1']], { deleting: true }));
          await change.putSet(aSet('other', [['mn22']], { task: 'other' }));
        });
        expect(ids(await store.setsLacking('mn2', 10))).toEqual(['half', 'none', 'other']);
        expect(ids(await store.setsLacking('mn2', 1))).toEqual(['half']);
        expect(ids(await store.setsLacking('mn1', 10))).toEqual(['other']);
        expect(ids(await store.setsToDelete(10))).toEqual(['goes']);
        expect(ids(await store.setsOf('nightly'))).toEqual(['whole', 'half', 'none']);
        await store.transaction(async (change) => {
          await change.putSet(
            aSet('half', [
              ['mn1', 'mn2'],
              ['mn1', 'mn2'],
            ]),
          );
          await change.deleteSet('none');
        });
        expect(ids(await store.setsLacking('mn2', 10))).toEqual(['other']);
        expect(ids(await allOf((page) => store.listSets('', page), 2))).toEqual(['other', 'goes', 'half', 'whole']);
      }),
    );

    test(
      'raises an alarm once until it is cleared, and keeps its history',
      withStore(async (store) => {
        const alarm = { id: 12011, subject: 'mn2', detail: 'd', raisedMs: 5 };
        await store.transaction(async (change) => {
          expect(await change.raiseAlarm(alarm)).toBe(true);
          expect(await change.raiseAlarm(alarm)).toBe(false);
          expect(await change.raiseAlarm({ ...alarm, subject: 'mn1' })).toBe(true);
          expect(await change.clearAlarm(12011, 'mn2', 7)).toBe(true);
          expect(await change.clearAlarm(12011, 'mn2', 8)).toBe(false);
          expect(await change.raiseAlarm(alarm)).toBe(true);
        });
        expect((await store.openAlarms()).map(({ subject }) => subject)).toEqual(['mn1', 'mn2']);
        const history = await allOf((page) => store.listAlarms(true, page), 2);
        expect(history.map(({ subject, clearedMs }) => [subject, clearedMs])).toEqual([
          ['mn2', undefined],
          ['mn1', undefined],
          ['mn2', 7],
        ]);
      }),
    );

    test(
      'remembers answers until they are forgotten, leftovers until they are cleared, log lines in order, and what was audited',
      withStore(async (store) => {
        const answer = { method: 'M', digest: 'd', response: new Uint8Array([1, 2]) };
        const leftover = { runId: 'r', attempt: 2, prefix: 'p/', nodes: ['mn1', 'mn2'] };
        await store.transaction(async (change) => {
          await change.putAnswer('q', answer, 10);
          await change.putLeftover(leftover);
          await change.putLeftover({ ...leftover, nodes: ['mn2'] });
          for (const message of ['one', 'two'])
            await change.addLog({ runId: 'r', timeMs: 1, level: 'info', source: '', message });
          for (const who of ['one', 'two']) await change.audit({ timeMs: 1, who, method: 'M', subject: 's', detail: '' });
        });
        expect(await store.answer('q')).toMatchObject({ method: 'M', digest: 'd' });
        expect(await store.leftovers()).toEqual([{ ...leftover, nodes: ['mn2'] }]);
        expect((await allOf((page) => store.listLog('r', page), 1)).map(({ message }) => message)).toEqual(['one', 'two']);
        expect((await allOf((page) => store.listAudit(page), 1)).map(({ who }) => who)).toEqual(['two', 'one']);
        await store.transaction(async (change) => {
          await change.forgetAnswers(11);
          await change.deleteLeftover(leftover);
        });
        expect([await store.answer('q'), await store.leftovers()]).toEqual([undefined, []]);
      }),
    );
  });
}
