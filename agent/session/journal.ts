/**
 * What an agent must remember when it dies: the assignments it works on, how to undo a restore that has switched, and what has
 * finished until the controller acknowledges it. One directory of small files, each written durably:
 *
 *   <assignment>.assign     the assignment, as it came
 *   <assignment>.undo       how to put the old state back; there only between switch and commit
 *   <assignment>.finished   its end, until acknowledged
 */
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeDurably, writeDurably } from '#common/durable-file.ts';
import { AppError } from '#common/errors.ts';
import { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import type { UndoRecord } from '../sources/source.ts';

export interface Journal {
  /** Assignments begun and not finished: after a start, those that the last death cut off. */
  begun(): Promise<Assign[]>;
  finished(): Promise<Finished[]>;
  undoOf(assignmentId: string): Promise<UndoRecord | undefined>;

  begin(assign: Assign): Promise<void>;
  saveUndo(assignmentId: string, undo: UndoRecord): Promise<void>;
  forgetUndo(assignmentId: string): Promise<void>;
  /** Also ends `begun`. */
  finish(finished: Finished): Promise<void>;
  acknowledge(assignmentId: string): Promise<void>;
}

export async function openJournal(directory: string): Promise<Journal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = (id: string, kind: 'assign' | 'undo' | 'finished') => {
    if (!/^[A-Za-z0-9_-]{1,100}$/.test(id)) throw new AppError('INVALID', `${JSON.stringify(id)} is not the id of an assignment`);
    return join(directory, `${id}.${kind}`);
  };
  const readAll = async (kind: string): Promise<unknown[]> => {
    const names = (await readdir(directory)).filter((name) => name.endsWith(`.${kind}`)).toSorted();
    return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as unknown));
  };

  return {
    begun: async () => (await readAll('assign')).map((json) => Assign.fromJSON(json)),
    finished: async () => (await readAll('finished')).map((json) => Finished.fromJSON(json)),

    async undoOf(id) {
      try {
        return JSON.parse(await readFile(path(id, 'undo'), 'utf8')) as UndoRecord;
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },

    begin: (assign) => writeDurably(path(assign.assignmentId, 'assign'), JSON.stringify(Assign.toJSON(assign))),
    saveUndo: (id, undo) => writeDurably(path(id, 'undo'), JSON.stringify(undo)),
    forgetUndo: (id) => removeDurably(path(id, 'undo')),
    async finish(finished) {
      await writeDurably(path(finished.assignmentId, 'finished'), JSON.stringify(Finished.toJSON(finished)));
      await removeDurably(path(finished.assignmentId, 'assign'));
    },
    acknowledge: (id) => removeDurably(path(id, 'finished')),
  };
}
