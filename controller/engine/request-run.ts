/** A run begins as a wish: it waits in the catalogue until the engine starts it. */
import { AppError } from '#common/errors.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { mayRequest } from '#rules/admission.ts';
import type { Restore, Run, Task } from '../model.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { newId, note } from './engine-io.ts';

/** @throws AppError REFUSED when it waits or runs already; LIMIT when too many wait. */
export async function requestBackup(change: Change, io: EngineIo, task: Task, trigger: Run['trigger']): Promise<Run> {
  const run = await request(change, io, { kind: 'backup', task: task.name, trigger, setId: newId('s', io.clock.now()) });
  await change.putTask({ ...task, lastRunId: run.id });
  return run;
}

/** @throws AppError REFUSED when it waits, runs or has succeeded already; LIMIT. */
export async function requestRestore(change: Change, io: EngineIo, restore: Restore): Promise<Run> {
  const last = restore.lastRunId === undefined ? undefined : await change.run(restore.lastRunId);
  // Its run may count as failed, when an agent that was given up came through all the same.
  if (last !== undefined && last.sources.length > 0 && last.sources.every(({ state }) => state === 'successful')) {
    throw new AppError('REFUSED', `the restore ${restore.name} has succeeded already, and is not executed twice`, {
      hint: 'Create a new restore if the data are to be restored again.',
    });
  }
  const run = await request(change, io, { kind: 'restore', task: restore.name, trigger: 'manual', setId: restore.setId });
  await change.putRestore({ ...restore, lastRunId: run.id });
  return run;
}

async function request(change: Change, io: EngineIo, of: Pick<Run, 'kind' | 'task' | 'trigger' | 'setId'>): Promise<Run> {
  const named = ({ kind, task }: Pick<Run, 'kind' | 'task'>) => `${kind === 'backup' ? 'task' : 'restore'} ${task}`;
  const open = (await change.openRuns()).map((run) => ({ task: named(run), state: run.state }));
  const decision = mayRequest(named(of), open, io.limits);
  if (decision.kind === 'refuse') throw new AppError(decision.full ? 'LIMIT' : 'REFUSED', decision.reason);
  const now = io.clock.now();
  const run: Run = {
    ...of,
    id: newId('r', now),
    state: 'waiting',
    createdMs: now,
    startedMs: undefined,
    endedMs: undefined,
    fault: undefined,
    sources: [],
    stopReason: undefined,
    startedFrom: undefined,
    topology: [],
    productVersion: PRODUCT_VERSION,
  };
  await change.putRun(run);
  await note(change, io, run.id, '', 'info', `waits to be started, ${of.trigger === 'period' ? 'by its period' : 'by hand'}`);
  change.after(() => {
    io.log.info({ run: run.id, kind: run.kind, task: run.task, trigger: run.trigger }, 'run requested');
    io.hint();
  });
  return run;
}
