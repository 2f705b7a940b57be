/** What the catalogue holds after each of its transactions, by the model's own reckoning. */
import type { BackupSet, Leftover, Restore, Run, Task } from '../../controller/model.ts';
import type { Written } from './watched-store.ts';

export interface Catalogue {
  readonly tasks: ReadonlyMap<string, Task>;
  /** In the order they were asked for. */
  readonly runs: ReadonlyMap<string, Run>;
  /** In the order they were made. */
  readonly sets: ReadonlyMap<string, BackupSet>;
  readonly restores: ReadonlyMap<string, Restore>;
  readonly leftovers: ReadonlyMap<string, Leftover>;
  /** "id subject" of those that are up. */
  readonly alarms: ReadonlySet<string>;
}

export const EMPTY: Catalogue = {
  tasks: new Map(),
  runs: new Map(),
  sets: new Map(),
  restores: new Map(),
  leftovers: new Map(),
  alarms: new Set(),
};

export function apply(before: Catalogue, written: readonly Written[]): Catalogue {
  const tasks = new Map(before.tasks);
  const runs = new Map(before.runs);
  const sets = new Map(before.sets);
  const restores = new Map(before.restores);
  const leftovers = new Map(before.leftovers);
  const alarms = new Set(before.alarms);
  for (const one of written) {
    if (one.kind === 'task') tasks.set(one.task.name, one.task);
    else if (one.kind === 'taskDeleted') tasks.delete(one.name);
    else if (one.kind === 'run') runs.set(one.run.id, one.run);
    else if (one.kind === 'set') sets.set(one.set.id, one.set);
    else if (one.kind === 'setDeleted') sets.delete(one.id);
    else if (one.kind === 'restore') restores.set(one.restore.name, one.restore);
    else if (one.kind === 'leftover') leftovers.set(leftoverKey(one.leftover), one.leftover);
    else if (one.kind === 'leftoverDeleted') leftovers.delete(leftoverKey(one.leftover));
    else if (one.kind === 'alarm') alarms[one.up ? 'add' : 'delete'](`${one.alarm.id} ${one.alarm.subject}`);
  }
  return { tasks, runs, sets, restores, leftovers, alarms };
}

const leftoverKey = ({ runId, prefix }: Leftover) => `${runId} ${prefix}`;

export const isOpen = ({ state }: Run) => state === 'waiting' || state === 'running';

export const openRuns = ({ runs }: Catalogue) => [...runs.values()].filter(isOpen);
