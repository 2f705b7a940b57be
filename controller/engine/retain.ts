/** After a good run: what is beyond the task's copies is marked for deletion; the vaults are cleared by the upkeep. */
import { taskDirectory } from '#common/names.ts';
import { setsToDelete } from '#rules/retention.ts';
import type { BackupSet, Task } from '../model.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { note } from './engine-io.ts';

export async function retain(change: Change, io: EngineIo, taskName: string): Promise<void> {
  const task = await change.task(taskName);
  if (task === undefined) return;
  const sets = (await change.setsOf(taskName)).filter((set) => isOf(set, task));
  const read = new Set((await change.openRuns()).filter(({ kind }) => kind === 'restore').map(({ setId }) => setId));
  const { active } = io.config.managementNodes;
  const goes = setsToDelete(
    sets.map((set) => ({
      id: set.id,
      createdMs: set.createdMs,
      whole: set.missingSources.length === 0 && set.files.every(({ nodes }) => nodes.includes(active)),
      inUse: read.has(set.id) || io.reading.has(set.id),
      deleting: set.deleting,
    })),
    task.copies,
  );
  for (const set of sets.filter(({ id }) => goes.includes(id))) {
    await change.putSet({ ...set, deleting: true });
    await note(change, io, set.runId, '', 'info', `the set ${set.id} goes: ${task.copies} newer copies are kept`);
    change.after(() => {
      io.log.info({ set: set.id, task: taskName, copies: task.copies }, 'set goes by retention');
      io.hint();
    });
  }
}

/** A task that was deleted and made anew under the same name does not count, nor delete, the sets of the old one. */
function isOf(set: BackupSet, task: Task): boolean {
  const directory = taskDirectory(task.name, task.createdMs);
  return set.files.every(({ file }) => file.manifest.key.startsWith(directory));
}
