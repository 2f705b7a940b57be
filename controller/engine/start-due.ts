/** Periodic tasks whose time has come: a run is requested, or it is recorded why there is none. */
import { AppError, toFault } from '#common/errors.ts';
import { rfc3339 } from '#common/clock.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { scheduleOf } from '#rules/schedule.ts';
import type { ScheduleDecision } from '#rules/schedule.ts';
import type { Task } from '../model.ts';
import { calendar } from './calendar.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { newId, note } from './engine-io.ts';
import { requestBackup } from './request-run.ts';

/** Answers when the next one is due, as far as that is known. */
export async function startDue(io: EngineIo): Promise<number | undefined> {
  const now = io.clock.now();
  let next: number | undefined;
  for (const task of await io.store.tasks()) {
    // Whether a run of it is open matters only when its time has come.
    if (decide(io, task, false, now).kind !== 'wait') await io.change((change) => carryOut(change, io, task.name, now));
    else if (task.nextStartMs !== undefined && task.nextStartMs > now) next = Math.min(task.nextStartMs, next ?? Infinity);
  }
  return next;
}

function decide(io: EngineIo, task: Task, open: boolean, now: number): ScheduleDecision {
  return scheduleOf({ ...task, open, elapsedMs: elapsedSinceStart(io, task) }, now, io.limits, calendar);
}

/** A due time is used or passed over in one change, so it is never used twice. */
async function carryOut(change: Change, io: EngineIo, name: string, now: number): Promise<void> {
  const task = await change.task(name);
  if (task === undefined) return;
  const open = (await change.openRuns()).some((run) => run.kind === 'backup' && run.task === name);
  const decision = decide(io, task, open, now);
  if (decision.kind === 'wait') return;
  const moved = { ...task, nextStartMs: decision.next };
  await change.putTask(moved);
  if (decision.kind === 'skip') await recordSkip(change, io, task, decision.due, decision.text);
  if (decision.kind === 'start') await requestOrSkip(change, io, moved, decision.due);
  if (decision.kind === 'move') {
    change.after(() => io.log.warn({ task: name }, 'the clock was set back: the next automatic run comes sooner'));
  }
}

/** By the clock that does not jump; unknown of a start before this controller's own. A deleted task of the same name may have started. */
function elapsedSinceStart(io: EngineIo, { name, lastStartedMs }: Task): number | undefined {
  const at = lastStartedMs === undefined ? undefined : io.startedTasks.get(name);
  return at === undefined ? undefined : io.clock.monotonic() - at;
}

/** What refuses a wish by hand skips an automatic run: the queue is full. One task's refusal must not stop the others. */
async function requestOrSkip(change: Change, io: EngineIo, task: Task, due: number): Promise<void> {
  try {
    await requestBackup(change, io, task, 'period');
  } catch (error) {
    if (!(error instanceof AppError) || (error.code !== 'LIMIT' && error.code !== 'REFUSED')) throw error;
    await recordSkip(change, io, task, due, error.message);
  }
}

/** A run that did not happen stands in the history like one that failed. */
async function recordSkip(change: Change, io: EngineIo, task: Task, due: number, reason: string): Promise<void> {
  const now = io.clock.now();
  const id = newId('r', now);
  const text = `the automatic run of ${rfc3339(due)} was skipped: ${reason}`;
  const fault = toFault(
    new AppError('REFUSED', text, { hint: `Run it by hand if it is wanted now: holdfast task run ${task.name}` }),
  );
  await change.putRun({
    id,
    kind: 'backup',
    task: task.name,
    trigger: 'period',
    state: 'skipped',
    createdMs: now,
    startedMs: undefined,
    endedMs: now,
    fault,
    setId: '',
    sources: [],
    stopReason: undefined,
    startedFrom: undefined,
    topology: [],
    productVersion: PRODUCT_VERSION,
  });
  await note(change, io, id, '', 'warn', text);
  change.after(() => io.log.warn({ run: id, task: task.name, due, reason }, 'an automatic run was skipped'));
}
