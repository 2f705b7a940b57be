/** Periodic tasks whose time has come. A due time is used or passed over in one change, so it is never used twice. */
import { AppError } from '#common/errors.ts';
import { scheduleOf } from '#rules/schedule.ts';
import type { Task } from '../model.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { requestBackup } from './request-run.ts';

/** Answers when the next one is due, as far as that is known. */
export async function startDue(io: EngineIo): Promise<number | undefined> {
  const now = io.clock.now();
  let next: number | undefined;
  for (const { name, ...task } of await io.store.tasks()) {
    // Whether a run of it is open matters only when its time has come.
    if (scheduleOf({ ...task, open: false }, now).kind !== 'wait') await io.change((change) => decide(change, io, name, now));
    else if (task.nextStartMs !== undefined && task.nextStartMs > now) next = Math.min(task.nextStartMs, next ?? Infinity);
  }
  return next;
}

async function decide(change: Change, io: EngineIo, name: string, now: number): Promise<void> {
  const task = await change.task(name);
  if (task === undefined) return;
  const open = (await change.openRuns()).some((run) => run.kind === 'backup' && run.task === name);
  const decision = scheduleOf({ ...task, open }, now);
  if (decision.kind === 'wait') return;
  const moved: Task = { ...task, nextStartMs: decision.next };
  const reason = decision.kind === 'skip' ? decision.reason : await requestOrReason(change, io, moved);
  if (reason === undefined) return;
  await change.putTask(moved);
  change.after(() => io.log.warn({ task: name, reason }, 'an automatic run moved to the next period'));
}

/** Undefined when it was requested. */
async function requestOrReason(change: Change, io: EngineIo, task: Task): Promise<string | undefined> {
  try {
    await requestBackup(change, io, task, 'period');
    return undefined;
  } catch (error) {
    // Nothing was written yet: the rule speaks first.
    if (error instanceof AppError && error.code === 'LIMIT') return error.message;
    throw error;
  }
}
