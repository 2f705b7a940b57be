import type * as FileSystem from 'node:fs/promises';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { pino } from 'pino';
import { openJournal } from '../../agent/session/journal.ts';

/** A disk that fails at one call cannot be had: in its place, opening this path for reading fails with this code. */
const trouble = vi.hoisted(() => ({ path: '', code: '' }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof FileSystem>();
  const meet = (path: unknown) => {
    if (path === trouble.path) throw Object.assign(new Error(`${trouble.code}: ${trouble.path}`), { code: trouble.code });
  };
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>) => {
      if (args[1] === 'r') meet(args[0]);
      return real.open(...args);
    },
    readFile: async (...args: Parameters<typeof real.readFile>) => {
      meet(args[0]);
      return real.readFile(...args);
    },
  };
});

const log = pino({ level: 'silent' });
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-journal-'));
  trouble.path = '';
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const assign = Assign.fromPartial({ assignmentId: 'a1', runId: 'r1', attempt: 1 });
const finished = Finished.fromPartial({ assignmentId: 'a1', runId: 'r1', attempt: 1 });

describe('the journal of an agent', () => {
  test('remembers over a death what was begun', async () => {
    await (await openJournal(directory, log)).begin(assign);
    expect(await (await openJournal(directory, log)).begun()).toEqual([assign]);
  });

  test('is rid of what a death cut off in mid-writing', async () => {
    await writeFile(join(directory, 'a1.assign.tmp'), '{');
    await openJournal(directory, log);
    expect(await readdir(directory)).toEqual([]);
  });

  test('tells an end until it is acknowledged, and begun no longer', async () => {
    const journal = await openJournal(directory, log);
    await journal.begin(assign);
    await journal.finish(finished);
    const reopened = await openJournal(directory, log);
    expect(await reopened.begun()).toEqual([]);
    expect(await reopened.finished()).toEqual([finished]);
    await reopened.acknowledge('a1');
    await reopened.acknowledge('a1');
    expect(await (await openJournal(directory, log)).finished()).toEqual([]);
  });

  test('keeps how to undo a restore between switch and commit', async () => {
    await (await openJournal(directory, log)).saveUndo('a1', { old: 'oms_old' });
    const reopened = await openJournal(directory, log);
    expect(await reopened.undoOf('a1')).toEqual({ old: 'oms_old' });
    await reopened.finish(finished);
    expect(await reopened.undoOf('a1')).toBeUndefined();
  });

  test('keeps the undo of a restore that ended in an unknown state, for the person who needs it', async () => {
    const journal = await openJournal(directory, log);
    await journal.saveUndo('a1', { old: 'oms_old' });
    await journal.finish({ ...finished, outcome: { $case: 'unknownState', value: { code: '', message: '', hint: '' } } });
    expect(await journal.undoOf('a1')).toEqual({ old: 'oms_old' });
  });

  test('refuses an id that would be a path', async () => {
    const journal = await openJournal(directory, log);
    await expect(async () => journal.acknowledge('../../etc/passwd')).rejects.toThrow('is not the id of an assignment');
  });

  test('does not take for cut off what was killed while its end was being written down', async () => {
    const journal = await openJournal(directory, log);
    await journal.begin(assign);
    await journal.finish(finished);
    // As `finish` leaves it when it dies between its two steps.
    await journal.begin(assign);
    const reopened = await openJournal(directory, log);
    expect(await reopened.begun()).toEqual([]);
    expect(await reopened.finished()).toEqual([finished]);
    await reopened.acknowledge('a1');
    expect(await (await openJournal(directory, log)).begun()).toEqual([]);
  });

  test('is rid, when it is opened, of what a death left of an end, and of a record that had not got its name', async () => {
    const journal = await openJournal(directory, log);
    await journal.finish(finished);
    // As `finish` leaves it when it dies after its first step.
    await journal.begin(assign);
    await journal.saveUndo('a1', { old: 'oms_old' });
    await journal.markCommitted('a1');
    await writeFile(join(directory, 'a2.assign.tmp'), '{');
    await (await openJournal(directory, log)).acknowledge('a1');
    expect(await readdir(directory)).toEqual([]);
  });

  test.each(['assign', 'finished'])('sets aside a spoilt .%s file, says so, and keeps the others', async (kind) => {
    const said: string[] = [];
    const journal = await openJournal(directory, pino({}, { write: (line: string) => void said.push(line) }));
    await journal.begin(assign);
    await journal.finish(Finished.fromPartial({ assignmentId: 'a2', runId: 'r1', attempt: 1 }));
    await writeFile(join(directory, `a3.${kind}`), '{"assignmentId": "a3", "run');
    await writeFile(join(directory, `a4.${kind}`), '{"assignmentId": "another"}');
    expect((await journal.begun()).map(({ assignmentId }) => assignmentId)).toEqual(['a1']);
    expect((await journal.finished()).map(({ assignmentId }) => assignmentId)).toEqual(['a2']);
    expect(said.join('')).toContain(`a3.${kind}`);
    expect(await readdir(directory)).toEqual(expect.arrayContaining([`a3.${kind}.damaged`, `a4.${kind}.damaged`]));
    expect(await journal.damagedOf('a3')).toBe(join(directory, `a3.${kind}.damaged`));
    expect(await journal.damagedOf('a1')).toBeUndefined();
  });

  test('says which record of an undo is spoilt', async () => {
    await writeFile(join(directory, 'a1.undo'), '{');
    const journal = await openJournal(directory, log);
    await expect(journal.undoOf('a1')).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('a1.undo') as string,
    });
  });

  test.each([
    ['EMFILE', 'FAILED'],
    ['EACCES', 'FORBIDDEN'],
    ['EIO', 'DAMAGED'],
  ])('that meets %s says %s of the record of an undo', async (code, said) => {
    const journal = await openJournal(directory, log);
    await journal.saveUndo('a1', { old: 'oms_old' });
    Object.assign(trouble, { path: join(directory, 'a1.undo'), code });
    await expect(journal.undoOf('a1')).rejects.toMatchObject({
      code: said,
      message: expect.stringContaining('a1.undo') as string,
    });
  });

  test('takes back a commit that it could not make durable: the restore is rolled back, and the next start must not take it for done', async () => {
    const journal = await openJournal(directory, log);
    Object.assign(trouble, { path: directory, code: 'EIO' });
    await expect(journal.markCommitted('a1')).rejects.toThrow('EIO');
    trouble.path = '';
    expect(await (await openJournal(directory, log)).isCommitted('a1')).toBe(false);
  });
});
