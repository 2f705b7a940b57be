/** Which sets go: told of each with its reasons, and done to those that go. The vaults are cleared by the upkeep. */
import { dateUnits } from '#common/clock.ts';
import { taskDirectory } from '#common/names.ts';
import { retentionPlan } from '#rules/retention.ts';
import type { Verdict } from '#rules/retention.ts';
import type { BackupSet, Task } from '../model.ts';
import type { Queries } from '../store/store.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { note } from './engine-io.ts';
import { markForDeletion } from './leftovers.ts';

export interface SetVerdict extends Verdict {
  readonly set: BackupSet;
}

/** Of one task, or of all of them and of the sets whose task is gone. Changes nothing. */
export async function planPrune(from: Queries, io: EngineIo, taskName: string): Promise<readonly SetVerdict[]> {
  const doubt = await io.clockWatch.doubt(from);
  const read = new Set((await from.openRuns()).filter(({ kind }) => kind === 'restore').map(({ setId }) => setId));
  const reading = ({ id }: BackupSet) => read.has(id) || io.reading.has(id);
  const verdicts: SetVerdict[] = [];
  for (const task of await from.tasks()) {
    if (taskName !== '' && task.name !== taskName) continue;
    const sets = await from.setsOf(task.name);
    const own = sets.filter((set) => isOf(set, task));
    const plan = retentionPlan(
      own.map((set) => keptSet(set, io, reading(set))),
      task.retention,
      io.clock.now(),
      doubt,
    );
    const judged = new Map(plan.map((verdict) => [verdict.id, verdict]));
    verdicts.push(...sets.toReversed().map((set) => ({ set, ...(judged.get(set.id) ?? orphan(set)) })));
  }
  return taskName === '' ? [...verdicts, ...(await orphans(from, verdicts))] : verdicts;
}

/** Sets of tasks that are gone altogether. */
async function orphans(from: Queries, judged: readonly SetVerdict[]): Promise<SetVerdict[]> {
  const known = new Set(judged.map(({ set }) => set.id));
  const found: SetVerdict[] = [];
  for (let token = ''; ;) {
    const { items, next } = await from.listSets('', { size: 1000, token });
    found.push(
      ...items.filter(({ id, deleting }) => !known.has(id) && deleting === undefined).map((set) => ({ set, ...orphan(set) })),
    );
    if (next === '') return found;
    token = next;
  }
}

/** After a good run, and when it is asked for. */
export async function prune(change: Change, io: EngineIo, taskName: string): Promise<readonly SetVerdict[]> {
  const verdicts = await planPrune(change, io, taskName);
  for (const { set, stays, reasons } of verdicts) {
    if (stays) continue;
    await markForDeletion(change, io, set);
    await note(change, io, set.runId, '', 'info', `the set ${set.id} goes: ${reasons.join(', ')}`);
    change.after(() => io.log.info({ set: set.id, task: set.task, reasons }, 'set goes by retention'));
  }
  return verdicts;
}

function keptSet(set: BackupSet, io: EngineIo, reading: boolean) {
  const { active } = io.config.managementNodes;
  return {
    id: set.id,
    createdMs: set.createdMs,
    unit: dateUnits(set.createdMs),
    whole: isWhole(set, active),
    good: isGood(set),
    lacksSource: set.missingSources.length > 0,
    pinned: set.pinned,
    reading,
    deleting: false,
    needs: [],
  };
}

/** Every source is there, on the active management node at least. */
function isWhole(set: BackupSet, active: string): boolean {
  return set.missingSources.length === 0 && set.files.every(({ nodes }) => nodes.includes(active));
}

/** Every source is there, in one vault or another. */
export function isGood({ missingSources, files }: BackupSet): boolean {
  return missingSources.length === 0 && files.every(({ nodes }) => nodes.length > 0);
}

function orphan({ id }: BackupSet): Verdict {
  return { id, stays: true, reasons: ['its task is gone: it is deleted by hand only'] };
}

/** A task that was deleted and made anew under the same name does not count, nor delete, the sets of the old one. */
export function isOf(set: BackupSet, task: Task): boolean {
  const directory = taskDirectory(task.name, task.createdMs);
  return set.task === task.name && set.files.every(({ file }) => file.manifest.key.startsWith(directory));
}
