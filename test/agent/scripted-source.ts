/** A source whose data are a directory of the test, and which fails or hangs at the point that the test names. */
import { cp, readFile, rename, rm, writeFile, mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import type { Source, SourceIo } from '../../agent/sources/source.ts';

/** What to do at a point: nothing, throw, or hang. A point that is named and never reached fails the test, see `reached`. */
export type Script = Readonly<Record<string, (signal: AbortSignal) => Promise<void>>>;

export const fail = (message: string, hint?: string) => () =>
  Promise.reject(new AppError('TOOL', message, hint === undefined ? {} : { hint }));
/** Until it is stopped: what a tool does that the agent kills. */
export const hang = (signal: AbortSignal) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new AppError('STOPPED', 'the tool: stopped')), { once: true });
  });

export function scriptedSource(directory: string, script: Script) {
  const live = join(directory, 'live');
  const [staged, old] = [`${live}.new`, `${live}.old`];
  const reached: string[] = [];
  const waiting = new Map<string, () => void>();
  const never = new AbortController().signal;

  async function at(point: string, signal: AbortSignal = never): Promise<void> {
    reached.push(point);
    waiting.get(point)?.();
    await script[point]?.(signal);
  }

  async function putBack(): Promise<void> {
    if (!existsSync(old)) return;
    await rm(live, { recursive: true, force: true });
    await rename(old, live);
  }

  const source: Source = {
    name: 'OMS',
    async prepareBackup(_request, io) {
      await at('prepareBackup', io.signal);
      return {
        async estimate() {
          await at('estimate', io.signal);
          return 1000n;
        },
        async backup() {
          await writeFile(join(io.workDirectory, 'spooled'), 'spooled');
          await at('backup', io.signal);
          return { roots: [{ from: live, as: 'live' }], facts: { made: 'by a test' } };
        },
        [Symbol.asyncDispose]: () => at('disposeBackup'),
      };
    },
    async planRestore(_request, io) {
      await at('planRestore', io.signal);
      return { steps: [], overwrites: [live], mustBeStopped: [], refusals: [], warnings: [], neededBytes: 1n, freeBytes: 2n };
    },
    async prepareRestore(_request, io) {
      await at('prepareRestore', io.signal);
      return preparedRestore(io);
    },
    async undoRestore() {
      await at('undoRestore');
      await putBack();
      await rm(staged, { recursive: true, force: true });
    },
    async commitRestore() {
      await at('commitRestore');
      await rm(old, { recursive: true, force: true });
    },
    async removeStaged() {
      await at('removeStaged');
      await rm(staged, { recursive: true, force: true });
    },
  };

  function preparedRestore(io: SourceIo) {
    let switched = false;
    return {
      async stage(unpacked: string) {
        await cp(join(unpacked, 'live'), staged, { recursive: true });
        await at('stage', io.signal);
      },
      async switchOver(saveUndo: (undo: Record<string, string>) => Promise<void>) {
        switched = true;
        await at('switchOver', io.signal);
        await saveUndo({ old });
        await at('undoSaved', io.signal);
        await rename(live, old);
        await at('halfSwitched', io.signal);
        await rename(staged, live);
      },
      async check() {
        await at('check', io.signal);
        return ['as in the backup'];
      },
      async commit() {
        await at('commit');
        await rm(old, { recursive: true });
      },
      async rollBack() {
        await at('rollBack');
        await putBack();
        await rm(staged, { recursive: true, force: true });
      },
      async [Symbol.asyncDispose]() {
        await at('disposeRestore');
        if (!switched) await rm(staged, { recursive: true, force: true });
      },
    };
  }

  return {
    source,
    reached,
    at,
    /** Resolves when the point is come to. */
    come: (point: string) =>
      reached.includes(point) ? Promise.resolve() : new Promise<void>((resolve) => waiting.set(point, resolve)),
    content: () => readFile(join(live, 'data'), 'utf8'),
    async write(text: string) {
      await mkdir(live, { recursive: true });
      await writeFile(join(live, 'data'), text);
    },
    /** Whether anything but the live state lies there. */
    leftovers: () => [staged, old].filter((path) => existsSync(path)),
  };
}
