/** Backs a source up and restores it as the runner does, through a real archive, without vaults and controller. */
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupRequest, RestorePlan, RestoreRequest, Source, SourceIo, UndoRecord } from '../../agent/sources/source.ts';
import { unpackArchive } from '../../agent/archive/unpack.ts';
import { packTo } from '../archive/trees.ts';
import type { Packed } from '../archive/trees.ts';

export interface Kept {
  readonly packed: Packed;
  readonly facts: Readonly<Record<string, string>>;
}

export async function createDriver(source: Source, signal: AbortSignal = new AbortController().signal) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-driver-'));
  const log: string[] = [];
  let count = 0;

  async function io(): Promise<SourceIo> {
    const workDirectory = join(directory, `work${++count}`);
    await mkdir(workDirectory, { mode: 0o700 });
    return { workDirectory, signal, log: (level, message) => void log.push(`${level}: ${message}`), progress: () => undefined };
  }
  const requestOf = (kept: Kept, changes: Partial<RestoreRequest> = {}): RestoreRequest => ({
    facts: kept.facts,
    contentBytes: kept.packed.contentBytes,
    renameDatabases: {},
    directory: undefined,
    ...changes,
  });

  return {
    log,
    async backUp(request: Partial<BackupRequest> = {}): Promise<Kept> {
      const own = await io();
      await using prepared = await source.prepareBackup({ databases: [], nameService: '', ...request }, own);
      await prepared.estimate();
      const { roots, facts } = await prepared.backup();
      const packed = await packTo(join(directory, `archive${++count}.tar.zst`), roots);
      return { packed, facts };
    },
    plan: async (kept: Kept, changes?: Partial<RestoreRequest>): Promise<RestorePlan> =>
      source.planRestore(requestOf(kept, changes), await io()),

    /** `spoil` may damage what was unpacked; `dieBeforeCommit` leaves everything as a killed agent would, and answers the undo. */
    async restore(
      kept: Kept,
      options: {
        changes?: Partial<RestoreRequest>;
        spoil?: (unpacked: string) => Promise<void>;
        afterSwitch?: () => Promise<void>;
        dieAfterSwitch?: boolean;
      } = {},
    ): Promise<{ checks: readonly string[]; undo: UndoRecord | undefined }> {
      const unpacked = join(directory, `unpacked${++count}`);
      await mkdir(unpacked, { mode: 0o700 });
      await unpackArchive(createReadStream(kept.packed.path), { into: unpacked, expected: kept.packed, signal });
      await options.spoil?.(unpacked);
      let undo: UndoRecord | undefined;
      const prepared = await source.prepareRestore(requestOf(kept, options.changes), await io());
      try {
        await prepared.stage(unpacked);
        try {
          await prepared.switchOver((record) => {
            undo = record;
            return Promise.resolve();
          });
          await options.afterSwitch?.();
          if (options.dieAfterSwitch === true) return { checks: [], undo };
          const checks = await prepared.check();
          await prepared.commit();
          return { checks, undo };
        } catch (error) {
          await prepared.rollBack();
          throw error;
        }
      } finally {
        if (options.dieAfterSwitch !== true) await prepared[Symbol.asyncDispose]();
      }
    },
    undo: async (record: UndoRecord) => source.undoRestore(record, await io()),
    /** What a source left in its work directories after it was disposed is the runner's to remove; beside them nothing may be. */
    entries: () => readdir(directory),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
