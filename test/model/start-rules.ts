/** What must be true of runs that start by themselves: when they do, and what is told when they do not. */
import { openRuns } from './catalogue.ts';
import { byPeriod, skipped } from './transition.ts';
import type { Rules, Transition } from './transition.ts';

export const SHORTEST_GAP_MS = 120_000;
const MOST_LATE_MS = 120_000;
/** Between a decision and its transaction. */
const MEANWHILE_MS = 1000;

export const START_RULES: Rules = {
  'a locked task never starts by itself': (change) =>
    byPeriod(change).flatMap(({ id, task }) => (change.wishes.get(task)?.locked ? [`${id} of ${task}, which is locked`] : [])),

  /** By the steady clock of the controller that saw the last start, by the time of day after it was started again. */
  'an automatic run needs more than 120 s since the last one': (change) =>
    byPeriod(change).flatMap(({ id, task }) => {
      const gaps = change.facts.gaps(task);
      return gaps.length === 0 || gaps.some((gap) => gap > SHORTEST_GAP_MS - MEANWHILE_MS)
        ? []
        : [`${id} of ${task} comes ${gaps.join()} ms after the last one`];
    }),

  'an automatic run starts at its time, once, and at most 120 s late': (change) =>
    byPeriod(change).flatMap(({ id, task }) => {
      if (change.before.tasks.get(task)?.schedule.kind !== 'periodic') return [`${id} of ${task}, which has no period`];
      return mayBeInTime(change, task, MOST_LATE_MS + MEANWHILE_MS)
        ? []
        : [`${id} of ${task} at ${change.facts.readings().join()}`];
    }),

  /** An automatic run that does not happen stands in the history: a record that says why, of a run that was never one. */
  'an automatic run is skipped for a reason that holds': (change) =>
    skipped(change).flatMap((run) => {
      const { id, task, state, trigger, kind, startedMs, endedMs, setId, sources, fault } = run;
      const said = fault?.message ?? '';
      const record =
        `${state} ${trigger} ${kind}` === 'skipped period backup' && startedMs === undefined && endedMs !== undefined;
      return [
        ...(record && setId === '' && sources.length === 0 ? [] : [`${id} is no record of a skip: ${JSON.stringify(run)}`]),
        ...(mayBeSkipped(change, task, said) ? [] : [`${id} of ${task} was skipped without a reason: ${said}`]),
      ];
    }),

  'no start is passed over in silence': (change) =>
    [...change.after.tasks.values()].flatMap(({ name, nextStartMs: next }) => {
      const was = change.before.tasks.get(name)?.nextStartMs;
      if (was === undefined || next === was || change.audits.some(({ subject }) => subject === name)) return [];
      // Only a clock that was set back makes the next start come sooner, and nothing is passed over then.
      const told = [...byPeriod(change), ...skipped(change)].some(({ task }) => task === name);
      return told || (next !== undefined && next < was) ? [] : [`the start of ${name} at ${was} became ${next}`];
    }),

  'a period that stays keeps its starts': ({ before, after }) =>
    [...after.tasks.values()].flatMap(({ name, createdMs, schedule: is, nextStartMs }) => {
      const old = before.tasks.get(name);
      const was = old?.createdMs === createdMs ? old.schedule : undefined;
      if (is.kind !== 'periodic') return [];
      const moved = was?.kind === 'periodic' && was.periodMs === is.periodMs && was.startMs !== is.startMs;
      const off = nextStartMs === undefined ? 0 : (nextStartMs - is.startMs) % is.periodMs;
      return moved || off !== 0 ? [`${name} starts at ${JSON.stringify(is)}, next at ${nextStartMs}`] : [];
    }),
};

/** The last due time that is not after `now`. */
export function dueBefore(now: number, startMs: number, periodMs: number): number | undefined {
  return now < startMs ? undefined : startMs + Math.floor((now - startMs) / periodMs) * periodMs;
}

/** A due time that was not used is late by at most so much. */
function mayBeInTime({ before, facts }: Transition, task: string, mostLateMs: number): boolean {
  const schedule = before.tasks.get(task)?.schedule;
  if (schedule?.kind !== 'periodic') return false;
  return facts.readings().some((now) => {
    const due = dueBefore(now, schedule.startMs, schedule.periodMs);
    return due !== undefined && now - due <= mostLateMs && facts.usedDues.get(task)?.has(due) !== true;
  });
}

function mayBeSkipped(change: Transition, task: string, said: string): boolean {
  if (said.endsWith('its last run has not ended'))
    return openRuns(change.before).some((run) => run.kind === 'backup' && run.task === task);
  if (said.includes('its last run started')) return change.facts.gaps(task).some((gap) => gap <= SHORTEST_GAP_MS + MEANWHILE_MS);
  return said.includes('s late') && !surelyInTime(change, task);
}

/** However the clock was read. */
function surelyInTime({ before, facts }: Transition, task: string): boolean {
  const schedule = before.tasks.get(task)?.schedule;
  return (
    schedule?.kind === 'periodic' &&
    facts.readings().every((now) => {
      const due = dueBefore(now, schedule.startMs, schedule.periodMs);
      return due !== undefined && now - due <= MOST_LATE_MS - MEANWHILE_MS && facts.usedDues.get(task)?.has(due) !== true;
    })
  );
}
