/**
 * What must be true of a Holdfast whatever is done to it: the model. Each rule looks at one transaction of the catalogue, as it was before
 * and after, beside what was asked for and what happened outside, and says what is wrong. A new rule is one function and its line in RULES.
 */
import type { BackupSet, Run } from '../../controller/model.ts';
import { isOpen, openRuns } from './catalogue.ts';
import { begun, byPeriod, changedRuns, ended, writtenSets } from './transition.ts';
import type { Transition } from './transition.ts';

type Rule = (change: Transition) => readonly string[];

export const SHORTEST_GAP_MS = 120_000;
const MOST_LATE_MS = 120_000;
/** Between a decision and its transaction. */
const MEANWHILE_MS = 1000;

export const RULES: Readonly<Record<string, Rule>> = {
  'one run at a time': ({ after }) => {
    const running = openRuns(after).filter(({ state }) => state === 'running');
    return running.length > 1 ? [`${running.map(({ id }) => id).join(' and ')} run at once`] : [];
  },

  'first come, first served': (change) =>
    begun(change).flatMap((run) => {
      const order = [...change.after.runs.values()];
      const earlier = order
        .slice(
          0,
          order.findIndex(({ id }) => id === run.id),
        )
        .find(({ state }) => state === 'waiting');
      return earlier === undefined ? [] : [`${run.id} started before ${earlier.id}, which waited first`];
    }),

  'a task runs once at a time': ({ after }) => {
    const open = openRuns(after).map(({ kind, task }) => `${kind} ${task}`);
    return open.filter((name, at) => open.indexOf(name) !== at).map((name) => `${name} is open twice`);
  },

  'a run ends once, and never begins again': (change) =>
    changedRuns(change).flatMap(({ was, is }) => {
      if (was === undefined) return is.state === 'waiting' ? [] : [`${is.id} began as ${is.state}`];
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
        task.copies === wish.copies &&
        task.locked === wish.locked &&
        task.sources.map(({ source }) => source).join() === wish.sources.join();
      const periodMs = task.schedule.kind === 'manual' ? undefined : task.schedule.periodMs;
      const silent = wish.locked || wish.period === undefined;
      return [
        ...(same && periodMs === wish.period?.ms ? [] : [`the task ${name} is not as asked for: ${JSON.stringify(task)}`]),
        ...(silent === (task.nextStartMs === undefined)
          ? []
          : [`the task ${name} starts next at ${task.nextStartMs}, ${silent ? 'and never should' : 'and should'}`]),
      ];
    }),
  ],

  'a locked task never starts by itself': (change) =>
    byPeriod(change).flatMap(({ id, task }) => (change.wishes.get(task)?.locked ? [`${id} of ${task}, which is locked`] : [])),

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

  'an automatic run needs more than 120 s since the last one': (change) =>
    [...byPeriod(change), ...begun(change).filter(({ trigger }) => trigger === 'period')].flatMap(({ id, task }) => {
      const last = change.facts.lastStarts.get(task);
      const fits = (now: number) => last === undefined || last > now || now - last > SHORTEST_GAP_MS - MEANWHILE_MS;
      return change.facts.readings().some(fits) ? [] : [`${id} of ${task} comes too soon after ${last}`];
    }),

  'an automatic run starts at its time, once, and at most 120 s late': (change) =>
    byPeriod(change).flatMap(({ id, task }) => {
      const period = change.before.tasks.get(task)?.schedule;
      if (period?.kind !== 'periodic') return [`${id} of ${task}, which has no period`];
      const used = change.facts.usedDues.get(task);
      const fits = (now: number) => {
        const due = dueBefore(now, period.startMs, period.periodMs);
        return due !== undefined && now - due <= MOST_LATE_MS + MEANWHILE_MS && !used?.has(due);
      };
      return change.facts.readings().some(fits) ? [] : [`${id} of ${task} at ${change.facts.readings().join()}`];
    }),

  'a run ends as what happened to it': (change) => ended(change).flatMap((run) => wrongEnd(run, change)),

  'a set is what its run yielded': (change) => [
    ...ended(change).flatMap((run) => wrongSet(run, change)),
    ...[...change.after.sets.values()]
      .filter(
        ({ id, runId }) => !change.before.sets.has(id) && !ended(change).some((run) => run.id === runId && run.setId === id),
      )
      .map(({ id }) => `the set ${id} comes from nowhere`),
  ],

  'a listed set lies whole in the vaults that are named': (change) =>
    writtenSets(change)
      .filter(({ deleting }) => !deleting)
      .flatMap((set) => change.facts.damage(set)),

  'a set goes by retention or by request, and the newest good ones stay': (change) => {
    const asked = change.audits.filter(({ method }) => method === 'DeleteSet').map(({ subject }) => subject);
    const marked = writtenSets(change).filter(({ id, deleting }) => deleting && change.before.sets.get(id)?.deleting === false);
    const byRetention = marked.filter(({ id }) => !asked.includes(id)).map(({ id }) => id);
    const wanted = ended(change).flatMap((run) =>
      run.kind === 'backup' && run.state === 'successful' ? beyondCopies(run, change) : [],
    );
    return [
      ...byRetention.filter((id) => !wanted.includes(id)).map((id) => `${id} goes and should stay`),
      ...wanted.filter((id) => !byRetention.includes(id) && !mayBeRead(id, change)).map((id) => `${id} stays and should go`),
    ];
  },

  'a set is forgotten when no vault holds it any more': ({ before, after, written, facts }) =>
    written.flatMap((one) => {
      const set = one.kind === 'setDeleted' ? before.sets.get(one.id) : undefined;
      if (set === undefined) return [];
      return [
        ...(set.deleting ? [] : [`${set.id} was not to go`]),
        ...facts.remains(set, after).map((key) => `${key} of ${set.id} is left`),
      ];
    }),

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

export function check(change: Transition): string[] {
  return Object.entries(RULES).flatMap(([name, rule]) => rule(change).map((fault) => `${name}: ${fault}`));
}

/** The last due time that is not after `now`. */
export function dueBefore(now: number, startMs: number, periodMs: number): number | undefined {
  return now < startMs ? undefined : startMs + Math.floor((now - startMs) / periodMs) * periodMs;
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

function wrongSet(run: Run, { after, facts, nodes }: Transition): string[] {
  if (run.kind !== 'backup') return [];
  const good = run.sources.filter(({ state }) => state === 'successful').map(({ source }) => source);
  const set = after.sets.get(run.setId);
  if (set === undefined) return good.length === 0 ? [] : [`${run.id} yielded ${good.join()}, and there is no set of it`];
  // Who writes may be cut off from a vault, too.
  const writers = run.sources.map(({ node }) => node);
  const left = [nodes.active, nodes.standby].filter((node) => set.files.some((file) => !file.nodes.includes(node)));
  return [
    ...(set.files.map(({ file }) => file.source).join() === good.join()
      ? []
      : [`the set of ${run.id} does not hold ${good.join()}`]),
    ...(set.missingSources.length === run.sources.length - good.length
      ? []
      : [`the set of ${run.id} misses ${set.missingSources.join()}`]),
    ...left
      .filter((node) => facts.troubles(run, [node, ...writers]).length === 0)
      .map((node) => `the set of ${run.id} is not on ${node}, without a cause`),
  ];
}

/** Older than the newest `copies` good ones; a task made anew under a name does not count the sets of the one before. */
function beyondCopies(run: Run, { before, after, nodes, wishes }: Transition): string[] {
  const directory = directoryOf(after.sets.get(run.setId));
  const own = [...after.sets.values()].filter(
    (set) => directoryOf(set) === directory && before.sets.get(set.id)?.deleting !== true,
  );
  const good = own.filter(
    (set) => set.missingSources.length === 0 && set.files.every((file) => file.nodes.includes(nodes.active)),
  );
  const oldestKept = good.at(-(wishes.get(run.task)?.copies ?? good.length));
  return oldestKept === undefined ? [] : own.slice(0, own.indexOf(oldestKept)).map(({ id }) => id);
}

const directoryOf = (set: BackupSet | undefined) => set?.files[0]?.file.manifest.key.split('/')[0];

function mayBeRead(id: string, { after, facts, nodes }: Transition): boolean {
  const copied = [nodes.active, nodes.standby].some((node) =>
    after.sets.get(id)?.files.some((file) => !file.nodes.includes(node)),
  );
  return facts.beingRead(id) || copied || openRuns(after).some(({ kind, setId }) => kind === 'restore' && setId === id);
}

function differs({ after }: Transition, alarm: string, expected: boolean): string[] {
  return after.alarms.has(alarm) === expected ? [] : [`${alarm} is ${expected ? 'not up' : 'up'}`];
}
