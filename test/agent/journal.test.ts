import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { openJournal } from '../../agent/session/journal.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-journal-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const assign = Assign.fromPartial({ assignmentId: 'a1', runId: 'r1', attempt: 1 });
const finished = Finished.fromPartial({ assignmentId: 'a1', runId: 'r1', attempt: 1 });

describe('the journal of an agent', () => {
  test('remembers over a death what was begun', async () => {
    await (await openJournal(directory)).begin(assign);
    expect(await (await openJournal(directory)).begun()).toEqual([assign]);
  });

  test('tells an end until it is acknowledged, and begun no longer', async () => {
    const journal = await openJournal(directory);
    await journal.begin(assign);
    await journal.finish(finished);
    const reopened = await openJournal(directory);
    expect(await reopened.begun()).toEqual([]);
    expect(await reopened.finished()).toEqual([finished]);
    await reopened.acknowledge('a1');
    await reopened.acknowledge('a1');
    expect(await (await openJournal(directory)).finished()).toEqual([]);
  });

  test('keeps how to undo a restore between switch and commit', async () => {
    await (await openJournal(directory)).saveUndo('a1', { old: 'oms_old' });
    const reopened = await openJournal(directory);
    expect(await reopened.undoOf('a1')).toEqual({ old: 'oms_old' });
    await reopened.forgetUndo('a1');
    expect(await reopened.undoOf('a1')).toBeUndefined();
  });

  test('refuses an id that would be a path', async () => {
    const journal = await openJournal(directory);
    await expect(async () => journal.acknowledge('../../etc/passwd')).rejects.toThrow('is not the id of an assignment');
  });
});
