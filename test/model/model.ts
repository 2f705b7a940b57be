/** Follows the catalogue transaction by transaction, and remembers each rule that was broken. */
import type { Run } from '../../controller/model.ts';
import { EMPTY, apply } from './catalogue.ts';
import type { Catalogue } from './catalogue.ts';
import { check } from './rules.ts';
import { SHORTEST_GAP_MS, dueBefore } from './start-rules.ts';
import { ended } from './transition.ts';
import type { Facts, LastStart, Transition, Wish } from './transition.ts';
import type { Written } from './watched-store.ts';

type Change = (wish: Wish | undefined) => Wish | undefined;

export interface Model {
  catalogue(): Catalogue;
  wishes(): ReadonlyMap<string, Wish>;
  /** What a request would change of what is wanted of a task; it counts from the transaction on that does it. */
  ask(method: string, task: string, change: Change): void;
  follow(written: readonly Written[]): void;
  /** Due times that lie far enough ahead of the new time may come again; those that are near do not. */
  clockWasSetBack(now: number): void;
  controllerBegins(): void;
  /** How many controllers have begun. */
  life(): number;
  /** As a rule sees it. */
  gaps(task: string): readonly number[];
  /** When a run began to run, on the monotonic clock. */
  begunAt(run: Run): number | undefined;
  readonly broken: string[];
  /** Runs that have ended so, for the tally of a history. */
  readonly ends: Map<string, number>;
}

export function createModel(
  facts: Omit<Facts, 'lastStarts' | 'usedDues' | 'gaps'>,
  nodes: Transition['nodes'],
  monotonic: () => number,
): Model {
  let catalogue = EMPTY;
  const wishes = new Map<string, Wish>();
  const asked = new Map<string, Change>();
  const begunAt = new Map<string, number>();
  const lastStarts = new Map<string, LastStart>();
  const usedDues = new Map<string, Set<number>>();
  const broken: string[] = [];
  const ends = new Map<string, number>();
  let lives = 0;

  /** The controller that saw the start measures by its steady clock, a later one by the time of day; a start in the future does not count. */
  function gaps(task: string): readonly number[] {
    const last = lastStarts.get(task);
    if (last === undefined) return [];
    if (last.life === lives) return [monotonic() - last.steady];
    const reckoned = facts.readings().flatMap((now) => last.wall.map((wall) => now - wall));
    return reckoned.map((gap) => (gap < 0 ? Infinity : gap));
  }

  /** What is set anew begins with the next due time, whatever was used of those to come. */
  function forgetDues(task: string, after: number): void {
    const used = usedDues.get(task);
    for (const due of used ?? []) if (due > after) used?.delete(due);
  }

  function fulfil(method: string, task: string): void {
    const change = asked.get(`${method} ${task}`);
    if (change === undefined) return;
    asked.delete(`${method} ${task}`);
    const wish = change(wishes.get(task));
    if (wish === undefined) wishes.delete(task);
    else wishes.set(task, wish);
    forgetDues(task, Math.min(...facts.readings()));
  }

  function remember(change: Transition): void {
    const [now = 0, ...others] = facts.readings();
    for (const one of change.written) {
      if (one.kind !== 'run') continue;
      const { id, task, trigger, startedMs } = one.run;
      if (startedMs !== undefined && !begunAt.has(id)) {
        begunAt.set(id, monotonic());
        if (one.run.kind === 'backup') lastStarts.set(task, { wall: facts.readings(), steady: monotonic(), life: lives });
      }
      const schedule = change.before.tasks.get(task)?.schedule;
      if (change.before.runs.has(id) || trigger !== 'period' || schedule?.kind !== 'periodic') continue;
      const used = usedDues.get(task) ?? new Set();
      usedDues.set(task, used);
      const due = dueBefore(others.length === 0 ? now : Math.max(now, ...others), schedule.startMs, schedule.periodMs);
      if (due !== undefined && now - due <= SURELY_DUE_MS && due - now <= NEVER_REPEATED_MS) used.add(due);
    }
    for (const { kind, state } of ended(change)) ends.set(`${kind} ${state}`, (ends.get(`${kind} ${state}`) ?? 0) + 1);
    for (const one of change.written) if (one.kind === 'taskDeleted') lastStarts.delete(one.name);
  }

  return {
    catalogue: () => catalogue,
    wishes: () => wishes,
    ask: (method, task, change) => void asked.set(`${method} ${task}`, change),
    follow(written) {
      if (written.length === 0) return;
      const audits = written.flatMap((one) => (one.kind === 'audit' ? [one.line] : []));
      for (const { method, subject } of audits) fulfil(method, subject);
      const after = apply(catalogue, written);
      const change = {
        before: catalogue,
        after,
        written,
        audits,
        wishes,
        nodes,
        facts: { ...facts, lastStarts, usedDues, gaps },
      };
      broken.push(...check(change));
      remember(change);
      catalogue = after;
    },
    clockWasSetBack(now) {
      for (const task of usedDues.keys()) forgetDues(task, now + NEVER_REPEATED_MS);
    },
    controllerBegins: () => void (lives += 1),
    life: () => lives,
    gaps,
    begunAt: ({ id }) => begunAt.get(id),
    broken,
    ends,
  };
}

/** A run by period that comes later is of a due time that cannot be told for sure while the clock is set. */
const SURELY_DUE_MS = 121_000;
/** A clock that is set back repeats no start that is so near; a moment is between a reading and its transaction. */
const NEVER_REPEATED_MS = SHORTEST_GAP_MS - 2000;
