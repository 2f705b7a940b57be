/**
 * What must be true of a Holdfast whatever is done to it: the model. Each rule looks at one transaction of the catalogue, as it was before
 * and after, beside what was asked for and what happened outside, and says what is wrong. A new rule is one function in RULES, or in its
 * part: start-rules.ts of what starts by itself, set-rules.ts of what is kept.
 */
import type { Run } from '../../controller/model.ts';
import { isOpen, openRuns } from './catalogue.ts';
import { SET_RULES } from './set-rules.ts';
import { START_RULES } from './start-rules.ts';
import { begun, changedRuns, ended } from './transition.ts';
import type { Rules, Transition } from './transition.ts';

export const RULES: Rules = {
  ...START_RULES,
  ...SET_RULES,

  'one run at a time': ({ after }) => {
    const running = openRuns(after).filter(({ state }) => state === 'running');
    return running.length > 1 ? [`${running.map(({ id }) => id).join(' and ')} run at once`] : [];
  },

  /** One that cannot start as things stand is passed by those that take nothing of it. */
  'first come, first served': (change) =>
    begun(change).flatMap((run) => {
      const order = [...change.after.runs.values()];
      const own = sourcesOf(run, change);
      const earlier = order
        .slice(
          0,
          order.findIndex(({ id }) => id === run.id),
        )
        .find((other) => other.state === 'waiting' && sourcesOf(other, change).some((source) => own.includes(source)));
      return earlier === undefined ? [] : [`${run.id} started before ${earlier.id}, which waited first`];
    }),

  'a task runs once at a time': ({ after }) => {
    const open = openRuns(after).map(({ kind, task }) => `${kind} ${task}`);
    return open.filter((name, at) => open.indexOf(name) !== at).map((name) => `${name} is open twice`);
  },

  'a run ends once, and never begins again': (change) =>
    changedRuns(change).flatMap(({ was, is }) => {
      if (was === undefined) return is.state === 'waiting' || is.state === 'skipped' ? [] : [`${is.id} began as ${is.state}`];
      if (!isOpen(was) && (was.state !== is.state || was.endedMs !== is.endedMs))
        return [`${is.id} was ${was.state}, and became ${is.state}`];
      return was.state === 'running' && is.state === 'waiting' ? [`${is.id} waits again`] : [];
    }),

  'a task is what was asked for': ({ after, wishes }) => [
    ...[...after.tasks.keys()].filter((name) => !wishes.has(name)).map((name) => `nobody asked for the task ${name}`),
    ...[...wishes].flatMap(([name, wish]) => {
      const task = after.tasks.get(name);
      if (task === undefined) return [`the task ${name} is gone`];
      const same =
        task.retention.copies === wish.copies &&
        task.locked === wish.locked &&
        task.sources.map(({ source }) => source).join() === wish.sources.join();
      const periodMs = task.schedule.kind === 'periodic' ? task.schedule.periodMs : undefined;
      const kind = wish.period === undefined ? 'manual' : 'periodic';
      const silent = wish.locked || wish.period === undefined;
      return [
        ...(same && task.schedule.kind === kind && periodMs === wish.period?.ms
          ? []
          : [`the task ${name} is not as asked for: ${JSON.stringify(task)}`]),
        ...(silent === (task.nextStartMs === undefined)
          ? []
          : [`the task ${name} starts next at ${task.nextStartMs}, ${silent ? 'and never should' : 'and should'}`]),
      ];
    }),
  ],

  'locking a task stops its run': ({ after, audits }) =>
    audits
      .filter(({ method }) => method === 'LockTask')
      .flatMap(({ subject }) => openRuns(after).filter(({ kind, task }) => kind === 'backup' && task === subject))
      .flatMap(({ id, stopReason }) => (stopReason === undefined ? [`${id} goes on`] : [])),

  'what is stopped stops': ({ after, audits }) =>
    audits
      .filter(({ method }) => method === 'StopRun')
      .flatMap(({ subject }) => {
        const run = after.runs.get(subject);
        return run !== undefined && isOpen(run) && (run.state === 'waiting' || run.stopReason === undefined)
          ? [`${subject} goes on`]
          : [];
      }),

  'a run ends as what happened to it': (change) => ended(change).flatMap((run) => wrongEnd(run, change)),

  'deleting a task keeps its data': ({ before, written, audits }) =>
    audits.some(({ method }) => method === 'DeleteTask') && written.some(({ kind }) => kind === 'set' || kind === 'setDeleted')
      ? [`with the task went sets of ${before.sets.size}`]
      : [],

  '12034 is up from a failed automatic run to the next good one': (change) =>
    [...new Set([...change.before.tasks.keys(), ...change.after.tasks.keys()])].flatMap((task) => {
      const end = ended(change).find((run) => run.kind === 'backup' && run.task === task);
      let expected = change.before.alarms.has(`12034 ${task}`);
      if (end?.state === 'failed' && end.trigger === 'period') expected = true;
      if (end?.state === 'successful' || !change.after.tasks.has(task)) expected = false;
      return differs(change, `12034 ${task}`, expected);
    }),

  '12035 is up from an unknown state to the next good restore': (change) =>
    ended(change)
      .filter(({ kind }) => kind === 'restore')
      .flatMap(({ sources }) =>
        sources.flatMap(({ source, state, fault }) => {
          const unknown = fault?.code === 'UNKNOWN_STATE';
          const expected = state === 'successful' ? false : unknown || change.before.alarms.has(`12035 ${source}`);
          return differs(change, `12035 ${source}`, expected);
        }),
      ),

  'a restore that has succeeded is not executed again': (change) =>
    changedRuns(change)
      .filter(({ was, is }) => was === undefined && is.kind === 'restore')
      .flatMap(({ is }) => {
        const done = [...change.before.runs.values()].find(
          ({ kind, task, sources }) =>
            kind === 'restore' && task === is.task && sources.length > 0 && sources.every(({ state }) => state === 'successful'),
        );
        return done === undefined ? [] : [`${is.id} repeats ${done.id} of ${is.task}`];
      }),
};

/** Of a run that waits: what it would take. */
function sourcesOf({ kind, task, state, sources }: Run, { after }: Transition): readonly string[] {
  if (state !== 'waiting') return sources.map(({ source }) => source);
  if (kind === 'restore') return after.restores.get(task)?.sources ?? [];
  return after.tasks.get(task)?.sources.map(({ source }) => source) ?? [];
}

export function check(change: Transition): string[] {
  return Object.entries(RULES).flatMap(([name, rule]) => rule(change).map((fault) => `${name}: ${fault}`));
}

function wrongEnd(run: Run, { facts, audits, nodes, after }: Transition): string[] {
  const said = run.fault === undefined ? '' : `: ${run.fault.message}`;
  const hit = run.sources.flatMap((share) => facts.faultsOf(share));
  const involved = [nodes.active, ...run.sources.map(({ node }) => node)];
  const asked = run.stopReason !== undefined || audits.some(({ subject }) => subject === run.id || subject === run.task);
  const faults: string[] = [];
  if (run.state === 'failed' && hit.length === 0 && facts.troubles(run, involved).length === 0)
    faults.push(`${run.id} failed without a cause${said}`);
  if (run.state === 'stopped' && !asked) faults.push(`${run.id} was stopped by nobody${said}`);
  for (const share of run.sources) {
    const name = `${share.source} of ${run.id}`;
    const good = share.state === 'successful';
    if (good && facts.faultsOf(share).length > 0)
      faults.push(`${name} is successful, and failed at ${facts.faultsOf(share).join()}`);
    if (good && run.kind === 'backup' && facts.handed(share) === undefined)
      faults.push(`${name} is successful, and nothing was backed up`);
    const unknown = share.fault?.code === 'UNKNOWN_STATE' || share.givenUp;
    if (run.kind === 'restore' && !unknown && facts.stayed(share) !== good) {
      faults.push(`${name} is ${share.state}, and what it restored is ${facts.stayed(share) ? '' : 'not '}in place`);
    }
  }
  if (run.state === 'successful' && (run.sources.length === 0 || run.sources.some(({ state }) => state !== 'successful'))) {
    faults.push(`${run.id} is successful without its sources, of ${after.runs.size}`);
  }
  return faults;
}

function differs({ after }: Transition, alarm: string, expected: boolean): string[] {
  return after.alarms.has(alarm) === expected ? [] : [`${alarm} is ${expected ? 'not up' : 'up'}`];
}
