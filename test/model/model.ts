/** Follows the catalogue transaction by transaction, and remembers each rule that was broken. */
import type { Run } from '../../controller/model.ts';
import { EMPTY, apply } from './catalogue.ts';
import type { Catalogue } from './catalogue.ts';
import { check, dueBefore } from './rules.ts';
import { ended } from './transition.ts';
import type { Facts, Transition, Wish } from './transition.ts';
import type { Written } from './watched-store.ts';

type Change = (wish: Wish | undefined) => Wish | undefined;

export interface Model {
  catalogue(): Catalogue;
  wishes(): ReadonlyMap<string, Wish>;
  /** What a request would change of what is wanted of a task; it counts from the transaction on that does it. */
  ask(method: string, task: string, change: Change): void;
  follow(written: readonly Written[]): void;
  /** Due times from before the clock was set back may come again. */
  clockWasSetBack(): void;
  /** When a run began to run, on the monotonic clock. */
  begunAt(run: Run): number | undefined;
  readonly broken: string[];
  /** Runs that have ended so, for the tally of a history. */
  readonly ends: Map<string, number>;
}

export function createModel(
  facts: Omit<Facts, 'lastStarts' | 'usedDues'>,
  nodes: Transition['nodes'],
  monotonic: () => number,
): Model {
  let catalogue = EMPTY;
  const wishes = new Map<string, Wish>();
  const asked = new Map<string, Change>();
  const begunAt = new Map<string, number>();
  const lastStarts = new Map<string, number>();
  const usedDues = new Map<string, Set<number>>();
  const broken: string[] = [];
  const ends = new Map<string, number>();

  function fulfil(method: string, task: string): void {
    const change = asked.get(`${method} ${task}`);
    if (change === undefined) return;
    asked.delete(`${method} ${task}`);
    const wish = change(wishes.get(task));
    if (wish === undefined) wishes.delete(task);
    else wishes.set(task, wish);
  }

  function remember(change: Transition): void {
    const [now = 0, ...others] = facts.readings();
    for (const one of change.written) {
      if (one.kind !== 'run') continue;
      const { id, task, trigger, startedMs } = one.run;
      if (startedMs !== undefined && !begunAt.has(id)) {
        begunAt.set(id, monotonic());
        if (one.run.kind === 'backup') lastStarts.set(task, now);
      }
      const schedule = change.before.tasks.get(task)?.schedule;
      if (change.before.runs.has(id) || trigger !== 'period' || schedule?.kind !== 'periodic') continue;
      const used = usedDues.get(task) ?? new Set();
      usedDues.set(task, used);
      const due = dueBefore(others.length === 0 ? now : Math.max(now, ...others), schedule.startMs, schedule.periodMs);
      if (due !== undefined && now - due <= SURELY_DUE_MS) used.add(due);
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
      const change = { before: catalogue, after, written, audits, wishes, nodes, facts: { ...facts, lastStarts, usedDues } };
      broken.push(...check(change));
      remember(change);
      catalogue = after;
    },
    clockWasSetBack: () => usedDues.clear(),
    begunAt: ({ id }) => begunAt.get(id),
    broken,
    ends,
  };
}

/** A run by period that comes later is of a due time that cannot be told for sure while the clock is set. */
const SURELY_DUE_MS = 121_000;
