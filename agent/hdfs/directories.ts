/** The tree: what is there, and how it is changed. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import type { Caller } from './call.ts';
import { exceptionName } from './remote-error.ts';
import { amount, fileStatus, parseAnswer } from './status.ts';
import type { FileStatus } from './status.ts';

export interface Summary {
  readonly files: bigint;
  readonly directories: bigint;
  readonly bytes: bigint;
  /** With every replica. */
  readonly rawBytes: bigint;
}

export interface DirectoryCalls {
  /** @throws AppError NOT_FOUND */
  status(path: string, signal: AbortSignal): Promise<FileStatus>;
  /**
   * What lies right in a directory, a page at a time. The order is that of HDFS: of the bytes of the names, each taken as a
   * signed number, so that what is not ASCII comes first. Of a file: nothing.
   */
  list(path: string, signal: AbortSignal): AsyncIterable<FileStatus>;
  summary(path: string, signal: AbortSignal): Promise<Summary>;
  /** As `mkdir -p`; `mode` is that of the last directory. */
  makeDirectory(path: string, mode: number, signal: AbortSignal): Promise<void>;
  /** Of a directory, with all below it. Whether it was there, as far as is known: when an answer was lost, true. */
  delete(path: string, signal: AbortSignal): Promise<boolean>;
  /** @throws AppError NOT_FOUND: `from`, or the parent of `to`; ALREADY_EXISTS: `to`; REFUSED: a directory with snapshots. */
  rename(from: string, to: string, signal: AbortSignal): Promise<void>;
}

const oneStatus = z.object({ FileStatus: fileStatus });
const listing = z.object({
  DirectoryListing: z.object({
    partialListing: z.object({ FileStatuses: z.object({ FileStatus: z.array(fileStatus) }) }),
    remainingEntries: z.int().nonnegative(),
  }),
});
const contentSummary = z.object({
  ContentSummary: z.object({
    fileCount: z.int().nonnegative(),
    directoryCount: z.int().nonnegative(),
    length: amount,
    spaceConsumed: amount,
  }),
});
export const yes = z.object({ boolean: z.boolean() });

export function createDirectoryCalls(caller: Caller): DirectoryCalls {
  async function status(path: string, signal: AbortSignal): Promise<FileStatus> {
    const doing = `look at ${path}`;
    const answer = await caller.ask({ method: 'GET', op: 'GETFILESTATUS', path, doing }, signal);
    return parseAnswer(oneStatus, answer, doing).FileStatus;
  }

  async function idOf(path: string, signal: AbortSignal): Promise<bigint | undefined> {
    try {
      return (await status(path, signal)).fileId;
    } catch (error) {
      if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  return {
    status,

    async *list(path, signal) {
      const doing = `list ${path}`;
      for (let startAfter = ''; ;) {
        const parameters = startAfter === '' ? {} : { startAfter };
        const answer = await caller.ask({ method: 'GET', op: 'LISTSTATUS_BATCH', path, parameters, doing }, signal);
        const { partialListing, remainingEntries } = parseAnswer(listing, answer, doing).DirectoryListing;
        const page = partialListing.FileStatuses.FileStatus;
        // A file lists itself, without a name.
        yield* page.filter(({ name }) => name !== '');
        const last = page.at(-1);
        if (remainingEntries === 0 || last === undefined || last.name === '') return;
        startAfter = last.name;
      }
    },

    async summary(path, signal) {
      const doing = `count what lies in ${path}`;
      const answer = await caller.ask({ method: 'GET', op: 'GETCONTENTSUMMARY', path, doing }, signal);
      const found = parseAnswer(contentSummary, answer, doing).ContentSummary;
      return {
        files: BigInt(found.fileCount),
        directories: BigInt(found.directoryCount),
        bytes: found.length,
        rawBytes: found.spaceConsumed,
      };
    },

    async makeDirectory(path, mode, signal) {
      const parameters = { permission: mode.toString(8) };
      const doing = `make the directory ${path}`;
      const answer = await caller.ask({ method: 'PUT', op: 'MKDIRS', path, parameters, doing }, signal);
      if (!parseAnswer(yes, answer, doing).boolean) throw new AppError('REFUSED', `${doing}: it cannot be made there`);
    },

    async delete(path, signal) {
      const doing = `delete ${path}`;
      let repeated = false;
      const onRepeat = () => void (repeated = true);
      const call = { method: 'DELETE', op: 'DELETE', path, parameters: { recursive: true }, doing, onRepeat } as const;
      return parseAnswer(yes, await caller.ask(call, signal), doing).boolean || repeated;
    },

    async rename(from, to, signal) {
      const doing = `rename ${from} to ${to}`;
      const { fileId } = await status(from, signal);
      // Without an option HDFS gives no reason, and moves it into a directory that is there.
      const parameters = { destination: to, renameoptions: 'NONE' };
      let repeated = false;
      const onRepeat = () => void (repeated = true);
      try {
        await caller.ask({ method: 'PUT', op: 'RENAME', path: from, parameters, doing, onRepeat }, signal);
      } catch (error) {
        // What was done the first time is refused the second time.
        if (repeated && (await idOf(to, signal)) === fileId) return;
        // A file in the place of a directory, and the like.
        if (error instanceof AppError && exceptionName(error) === 'IOException')
          throw new AppError('REFUSED', error.message, { cause: error, details: error.details });
        throw error;
      }
    },
  };
}
