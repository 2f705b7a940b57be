import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayRequest, mayStart, nextToStart } from '../../controller/rules/admission.ts';
import type { OpenRun } from '../../controller/rules/admission.ts';
import { DEFAULT_LIMITS } from '../../controller/rules/limits.ts';

describe('a run may be asked for', () => {
  const waiting = (count: number) => Array.from({ length: count }, (_, n) => ({ task: `task t${n}`, state: 'waiting' }));
  test.each([
    ['when nothing is open', 'task a', [], 'accept'],
    ['unless it waits', 'task a', [{ task: 'task a', state: 'waiting' }], 'refuse'],
    ['unless it runs', 'task a', [{ task: 'task a', state: 'running' }], 'refuse'],
    ['when a restore of the same name runs', 'task a', [{ task: 'restore a', state: 'running' }], 'accept'],
    ['when 198 others wait', 'task a', waiting(198), 'accept'],
    ['unless 199 others wait', 'task a', waiting(199), 'refuse'],
  ] as const)('%s', (_name, task, open, kind) => {
    expect(mayRequest(task, open, DEFAULT_LIMITS).kind).toBe(kind);
  });
});

const run = (id: string, running: boolean, ...sources: string[]): OpenRun => ({ id, running, sources });

describe('the run that starts next', () => {
  test.each([
    ['is the one asked for first', [run('a', false, 'OMS'), run('b', false, 'HDFS')], 1, 'a'],
    ['is none while one runs', [run('a', true, 'OMS'), run('b', false, 'HDFS')], 1, undefined],
    ['is another beside it, when two may run', [run('a', true, 'OMS'), run('b', false, 'HDFS')], 2, 'b'],
    ['never shares a source with one that runs', [run('a', true, 'OMS', 'HDFS'), run('b', false, 'HDFS')], 5, undefined],
    [
      'passes one that must wait when it takes nothing of it',
      [run('a', true, 'OMS'), run('b', false, 'OMS', 'HDFS'), run('c', false, 'Hive')],
      2,
      'c',
    ],
    [
      'does not take from one that waits before it',
      [run('a', true, 'OMS'), run('b', false, 'OMS', 'HDFS'), run('c', false, 'HDFS')],
      2,
      undefined,
    ],
  ] as const)('%s', (_name, open, concurrentRuns, id) => {
    expect(nextToStart(open, { concurrentRuns })).toBe(id);
  });

  test('passes one that cannot start as things stand, when it takes nothing of it', () => {
    const open = [run('a', false, 'OMS'), run('b', false, 'OMS', 'Hive'), run('c', false, 'HDFS')];
    expect(nextToStart(open, { concurrentRuns: 1 }, new Set(['a']))).toBe('c');
    expect(nextToStart(open, { concurrentRuns: 1 }, new Set(['a', 'c']))).toBeUndefined();
  });

  /** Broken on purpose in nextToStart: `taken` without those of the running: two runs share a source. */
  test('never breaks the limit nor the sources, and in the end every run has run', () => {
    const wishes = fc.array(fc.uniqueArray(fc.constantFrom('OMS', 'LdapServer', 'HDFS', 'Hive'), { minLength: 1 }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(wishes, fc.integer({ min: 1, max: 4 }), fc.infiniteStream(fc.nat()), (sources, concurrentRuns, ends) => {
        let open = sources.map((each, n) => run(`r${n}`, false, ...each));
        for (let step = 0; open.length > 0; step++) {
          expect(step).toBeLessThan(100);
          const id = nextToStart(open, { concurrentRuns });
          const running = open.filter((each) => each.running);
          if (id === undefined) {
            // Something runs, so something ends: nobody waits for nothing.
            expect(running.length).toBeGreaterThan(0);
            const ended = running[(ends.next().value ?? 0) % running.length];
            open = open.filter((each) => each !== ended);
            continue;
          }
          open = open.map((each) => (each.id === id ? { ...each, running: true } : each));
          const taken = open.filter((each) => each.running).flatMap((each) => each.sources);
          expect(new Set(taken).size).toBe(taken.length);
          expect(running.length + 1).toBeLessThanOrEqual(concurrentRuns);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a backup starts', () => {
  const agents = [
    { node: 'b', connected: true, sources: ['OMS'] },
    { node: 'a', connected: true, sources: ['OMS', 'NameNode'] },
    { node: '0', connected: false, sources: ['OMS', 'Hive'] },
  ];
  const ask = (free: bigint | undefined, connected = true, sources = ['OMS']) =>
    mayStart({
      sources,
      agents,
      active: { node: 'mn1', connected, freeBytes: free },
      minimumFreeBytes: DEFAULT_LIMITS.minimumFreeBytes,
    });
  test('with more than 20 GB free, on the first connected agent that offers the source', () => {
    expect(ask(20_000_000_001n)).toEqual({ kind: 'start', placed: [{ source: 'OMS', node: 'a' }], unplaced: [] });
  });
  test('not with 20 GB free', () => {
    expect(ask(20_000_000_000n)).toMatchObject({
      kind: 'refuse',
      noSpace: true,
      reason: expect.stringMatching(/20\.0 GB free, and more than 20\.0 GB/) as string,
    });
  });
  test('not without the agent or the vault of the active management node', () => {
    expect(ask(undefined, false)).toMatchObject({ kind: 'refuse', noSpace: false });
    expect(ask(undefined, true)).toMatchObject({ kind: 'refuse', noSpace: false });
  });
  test('naming what no connected agent offers', () => {
    expect(ask(1n << 60n, true, ['OMS', 'Hive'])).toMatchObject({ kind: 'start', unplaced: ['Hive'] });
  });
});
