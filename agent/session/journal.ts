/**
 * What an agent must remember when it dies: the assignments it works on, how to undo a restore that has switched, and what has
 * finished until the controller acknowledges it. One directory of small files, each written durably:
 *
 *   <assignment>.assign     the assignment, as it came
 *   <assignment>.undo       how to put the old state back, from the switch to the end; kept when the end is an unknown state
 *   <assignment>.committed  a restore whose new state stays; only its end is not written yet
 *   <assignment>.finished   its end, until acknowledged
 *   <any of these>.damaged  what could not be read, set aside for a person to look at
 */
import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeDurably, syncDirectory, writeDurably } from '#common/durable-file.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import type { Logger } from '#common/log.ts';
import type { UndoRecord } from '../sources/source.ts';

export interface Journal {
  /** Assignments begun and not finished: after a start, those that the last death cut off. */
  begun(): Promise<Assign[]>;
  finished(): Promise<Finished[]>;
  /** @throws AppError DAMAGED when the record is spoilt */
  undoOf(assignmentId: string): Promise<UndoRecord | undefined>;
  /** The path of what was set aside of this assignment: it was begun once, and nobody knows how far it came. */
  damagedOf(assignmentId: string): Promise<string | undefined>;

  begin(assign: Assign): Promise<void>;
  saveUndo(assignmentId: string, undo: UndoRecord): Promise<void>;
  /** From here on the undo is not to be used. When it fails, nothing is marked. */
  markCommitted(assignmentId: string): Promise<void>;
  isCommitted(assignmentId: string): Promise<boolean>;
  /** Also ends `begun`. */
  finish(finished: Finished): Promise<void>;
  acknowledge(assignmentId: string): Promise<void>;
}

type Kind = 'assign' | 'undo' | 'committed' | 'finished';

export async function openJournal(directory: string, log: Logger): Promise<Journal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = (id: string, kind: Kind) => {
    if (!/^[A-Za-z0-9_-]{1,100}$/.test(id)) throw new AppError('INVALID', `${JSON.stringify(id)} is not the id of an assignment`);
    return join(directory, `${id}.${kind}`);
  };

  /** One record that a bad disk has spoilt must not keep the agent from its other work, nor from starting. */
  async function readAll<T extends { assignmentId: string }>(kind: Kind, decode: (json: unknown) => T): Promise<T[]> {
    const names = (await readdir(directory)).filter((name) => name.endsWith(`.${kind}`)).toSorted();
    const read = await Promise.all(names.map((name) => readOne(name, kind, decode)));
    return read.filter((one) => one !== undefined);
  }

  async function readOne<T extends { assignmentId: string }>(
    name: string,
    kind: Kind,
    decode: (json: unknown) => T,
  ): Promise<T | undefined> {
    try {
      const record = decode(JSON.parse(await readFile(join(directory, name), 'utf8')));
      if (`${record.assignmentId}.${kind}` !== name) throw new Error(`it is of the assignment ${record.assignmentId}`);
      return record;
    } catch (error) {
      // Acknowledged or ended between the look into the directory and this.
      if (isMissing(error)) return undefined;
      if (!isDamage(error)) throw toAppError(error, `read the record ${join(directory, name)} of the journal`);
      const aside = join(directory, `${name}.damaged`);
      log.error({ err: error, record: join(directory, name), aside }, 'a record of the journal cannot be read and is set aside');
      await rename(join(directory, name), aside);
      await syncDirectory(directory);
      return undefined;
    }
  }

  const finished = () => readAll('finished', (json) => Finished.fromJSON(json));

  /** What has its end written down needs no other record. */
  async function forgetBeginning({ assignmentId, outcome }: Finished): Promise<void> {
    await removeDurably(path(assignmentId, 'assign'));
    // For the person who must put the old state back by hand.
    if (outcome?.$case !== 'unknownState') await removeDurably(path(assignmentId, 'undo'));
    await removeDurably(path(assignmentId, 'committed'));
  }

  // What a death cut off: a record that has not got its name, and an end whose other records were still to go.
  for (const name of await readdir(directory)) if (name.endsWith('.tmp')) await removeDurably(join(directory, name));
  for (const ended of await finished()) await forgetBeginning(ended);

  return {
    finished,

    async begun() {
      // Killed between the two steps of `finish`: what has an end was not cut off, and must not be undone.
      const ended = new Set((await finished()).map(({ assignmentId }) => assignmentId));
      const all = await readAll('assign', (json) => Assign.fromJSON(json));
      return all.filter(({ assignmentId }) => !ended.has(assignmentId));
    },

    async undoOf(id) {
      try {
        return JSON.parse(await readFile(path(id, 'undo'), 'utf8')) as UndoRecord;
      } catch (error) {
        if (isMissing(error)) return undefined;
        const doing = `read ${path(id, 'undo')}`;
        if (!isDamage(error)) throw toAppError(error, doing);
        throw new AppError('DAMAGED', `${doing}: how to put the old state back cannot be read`, { cause: error });
      }
    },

    async damagedOf(id) {
      const name = (await readdir(directory)).find(
        (each) => each === `${id}.assign.damaged` || each === `${id}.finished.damaged`,
      );
      return name === undefined ? undefined : join(directory, name);
    },

    begin: (assign) => writeDurably(path(assign.assignmentId, 'assign'), JSON.stringify(Assign.toJSON(assign))),
    saveUndo: (id, undo) => writeDurably(path(id, 'undo'), JSON.stringify(undo)),
    async markCommitted(id) {
      try {
        await writeDurably(path(id, 'committed'), '');
      } catch (error) {
        // It may have got its name all the same, and the caller rolls back: the next start must not take that for a success.
        await rm(path(id, 'committed'), { force: true });
        await syncDirectory(directory).catch(() => undefined);
        throw error;
      }
    },
    isCommitted: async (id) => (await readdir(directory)).includes(`${id}.committed`),
    async finish(ended) {
      await writeDurably(path(ended.assignmentId, 'finished'), JSON.stringify(Finished.toJSON(ended)));
      await forgetBeginning(ended);
    },
    async acknowledge(id) {
      // First: once its end is forgotten, a record of its beginning would look cut off.
      await removeDurably(path(id, 'assign'));
      await removeDurably(path(id, 'committed'));
      await removeDurably(path(id, 'finished'));
    },
  };
}

function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT';
}

/** Of too many open files, or no permission, the record is not to blame. */
function isDamage(error: unknown): boolean {
  const code = systemCode(error);
  return code === undefined || code === 'EIO';
}

function systemCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
