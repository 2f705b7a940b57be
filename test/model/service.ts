/**
 * A service that is backed up and restored, as a source sees it. Its state outlives the agents; what each backup was handed, which restores
 * stayed and which planned faults were hit is written down for the model to compare with.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import type { SourceName } from '#common/names.ts';
import type { PreparedBackup, PreparedRestore, Source, SourceIo } from '../../agent/sources/source.ts';

export type Point = 'backup' | 'stage' | 'check' | 'rollBack';

/** What is in place, and who put it there: a writer, or the assignment of a restore. */
export interface State {
  readonly text: string;
  readonly by: string;
}

export interface Service {
  readonly name: SourceName;
  live(): State;
  write(): void;
  /** The next time that this point is come to it fails. */
  plan(point: Point): void;
  forgetPlans(): void;
  /** How long each phase takes. */
  pace(ms: number): void;
  /** What the backup of an assignment was handed. */
  handed(assignmentId: string): string | undefined;
  /** The faults that an assignment has come to. */
  faultsOf(assignmentId: string): readonly Point[];
  /** Whether the state of this restore came into place and was not put back. */
  stayed(assignmentId: string): boolean;
  /** Two at once have touched it. */
  readonly collisions: readonly string[];
  /** As the agent of one life sees it. */
  source(clock: Clock, dead: AbortSignal): Source;
}

export function createService(name: SourceName): Service {
  let live: State = { text: `${name} at first`, by: 'first' };
  let old: { readonly state: State; readonly of: string } | undefined;
  let writes = 0;
  let paceMs = 500;
  const handed = new Map<string, string>();
  const stayed = new Set<string>();
  const hit = new Map<string, Point[]>();
  const planned: Point[] = [];
  const collisions: string[] = [];
  const busy = new Map<object, string>();

  /** Nothing of a dead agent changes anything. */
  async function at(
    point: string,
    io: SourceIo,
    clock: Clock,
    dead: AbortSignal,
    signal: AbortSignal = io.signal,
  ): Promise<void> {
    if (paceMs > 0) await clock.sleep(paceMs, signal);
    requireAlive(dead);
    const index = planned.findIndex((each) => each === point);
    if (index === -1) return;
    const [fault] = planned.splice(index, 1);
    const id = assignmentOf(io);
    hit.set(id, [...(hit.get(id) ?? []), fault!]);
    throw new AppError('TOOL', `${name}: ${point} failed, as planned`);
  }

  function occupy(what: string, dead: AbortSignal): Disposable {
    const others = [...busy.values()];
    if (others.length > 0) collisions.push(`${what} while ${others.join(', ')} is under way on ${name}`);
    const mine = {};
    busy.set(mine, what);
    const leave = () => void busy.delete(mine);
    dead.addEventListener('abort', leave, { once: true });
    return { [Symbol.dispose]: leave };
  }

  function putBack(of: string): void {
    if (old?.of !== of) return;
    live = old.state;
    old = undefined;
    stayed.delete(of);
  }

  function source(clock: Clock, dead: AbortSignal): Source {
    return {
      name,
      async prepareBackup(_request, io): Promise<PreparedBackup> {
        requireAlive(dead);
        const id = assignmentOf(io);
        const held = occupy(`the backup ${id}`, dead);
        return {
          estimate: async () => 1000n,
          async backup() {
            const { text } = live;
            handed.set(id, text);
            await writeFile(join(io.workDirectory, 'data'), text);
            await at('backup', io, clock, dead);
            return { roots: [{ from: join(io.workDirectory, 'data'), as: 'data' }], facts: { made: 'by a history' } };
          },
          [Symbol.asyncDispose]: async () => held[Symbol.dispose](),
        };
      },
      async planRestore() {
        requireAlive(dead);
        return { steps: [], overwrites: [name], mustBeStopped: [], refusals: [], warnings: [], neededBytes: 1n, freeBytes: 2n };
      },
      async prepareRestore(_request, io): Promise<PreparedRestore> {
        requireAlive(dead);
        return preparedRestore(io, clock, dead, occupy(`the restore ${assignmentOf(io)}`, dead));
      },
      async undoRestore(undo, io) {
        using _held = occupy(`putting back ${undo['of']}`, dead);
        await at('rollBack', io, clock, dead);
        putBack(undo['of'] ?? '');
      },
      async commitRestore(undo, io) {
        using _held = occupy(`removing what ${undo['of']} replaced`, dead);
        await at('commit', io, clock, dead);
        if (old?.of === undo['of']) old = undefined;
      },
      // What is staged here lies in the memory of the agent, and dies with it.
      removeStaged: async () => requireAlive(dead),
    };
  }

  function preparedRestore(io: SourceIo, clock: Clock, dead: AbortSignal, held: Disposable): PreparedRestore {
    const id = assignmentOf(io);
    let staged = '';
    return {
      async stage(unpacked) {
        await at('stage', io, clock, dead);
        staged = await readFile(join(unpacked, 'data'), 'utf8');
      },
      async switchOver(saveUndo) {
        await at('switchOver', io, clock, dead);
        await saveUndo({ of: id });
        await at('undoSaved', io, clock, dead);
        old = { state: live, of: id };
        live = { text: staged, by: id };
        stayed.add(id);
      },
      async check() {
        await at('check', io, clock, dead);
        return ['as in the backup'];
      },
      async commit() {
        await at('commit', io, clock, dead, unstoppable);
        old = undefined;
      },
      async rollBack() {
        await at('rollBack', io, clock, dead, unstoppable);
        putBack(id);
      },
      [Symbol.asyncDispose]: async () => held[Symbol.dispose](),
    };
  }

  return {
    name,
    live: () => live,
    write: () => void (live = { text: `${name} as written ${++writes}\n`.repeat(100), by: 'a writer' }),
    plan: (point) => void planned.push(point),
    forgetPlans: () => void planned.splice(0),
    pace: (ms) => void (paceMs = ms),
    handed: (id) => handed.get(id),
    faultsOf: (id) => hit.get(id) ?? [],
    stayed: (id) => stayed.has(id),
    collisions,
    source,
  };
}

/** Rolling back is not broken off by the stop that led to it. */
const unstoppable = new AbortController().signal;

function requireAlive(dead: AbortSignal): void {
  if (dead.aborted) throw new AppError('STOPPED', 'this agent is dead');
}

/** Each assignment has a private directory of its name. */
function assignmentOf({ workDirectory }: SourceIo): string {
  return /\/work\/([^/]+?)(?:-recovery)?(?:\/|$)/.exec(workDirectory)?.[1] ?? '';
}
