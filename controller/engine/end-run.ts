/** The end of a share, and of a run when its last share has ended: what comes of it is written in the same change. */
import { AppError, toFault } from '#common/errors.ts';
import type { FaultShape } from '#common/errors.ts';
import { outcomeOf } from '#rules/outcome.ts';
import { runAlarms } from '../alarms/run-alarms.ts';
import type { BackupSet, Run, SourceRun } from '../model.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { note } from './engine-io.ts';
import { leaveShareToClear } from './leftovers.ts';
import { prune } from './retain.ts';

/** What has changed in one share is written; then the run goes on, or ends. */
export async function endShare(change: Change, io: EngineIo, run: Run, ended: SourceRun): Promise<void> {
  const { source, state, fault, assignmentId } = ended;
  const next = withShare(run, { ...ended, endedMs: io.clock.now() });
  await change.putRun(next);
  await note(
    change,
    io,
    run.id,
    source,
    state === 'failed' ? 'error' : 'info',
    state + (fault === undefined ? '' : `: ${fault.message}`),
  );
  if (run.kind === 'backup' && state !== 'successful') await leaveShareToClear(change, io, next, ended);
  change.after(() => {
    io.given.delete(assignmentId);
    io.log.info({ run: run.id, source, state, reason: fault?.message }, 'share of a run ended');
  });
  await proceed(change, io, next);
}

/** A restore takes its sources one after another; a run whose shares have all ended is ended. */
export async function proceed(change: Change, io: EngineIo, run: Run): Promise<void> {
  let current = run;
  const now = io.clock.now();
  while (!current.sources.some(({ state }) => state === 'running')) {
    const waiting = current.sources.find(({ state }) => state === 'waiting');
    if (waiting === undefined) break;
    const next: SourceRun =
      current.stopReason === undefined
        ? { ...waiting, state: 'running', startedMs: now }
        : { ...waiting, state: 'stopped', fault: stopFault(current.stopReason), endedMs: now };
    current = withShare(current, next);
    await change.putRun(current);
  }
  change.after(() => io.hint());
  const outcome = outcomeOf(current.sources.map(({ source, state, fault }) => ({ source, state, reason: fault?.message })));
  if (outcome.kind === 'ended') await endRun(change, io, current, outcome.state, outcome.reason);
}

async function endRun(
  change: Change,
  io: EngineIo,
  run: Run,
  state: 'successful' | 'failed' | 'stopped',
  reason: string | undefined,
) {
  const first = run.sources.find((share) => share.state === state)?.fault;
  const fault = reason === undefined || first === undefined ? undefined : { ...first, message: reason };
  const ended: Run = { ...run, state, fault, endedMs: io.clock.now() };
  await change.putRun(ended);
  await note(
    change,
    io,
    run.id,
    '',
    state === 'failed' ? 'error' : 'info',
    `ended: ${state}${reason === undefined ? '' : `, ${reason}`}`,
  );
  if (run.kind === 'backup') {
    await makeSet(change, ended);
    if (state === 'successful') await prune(change, io, run.task);
  }
  await runAlarms(change, io, ended);
  farewell(change, io, ended);
}

/** A run that ends before any share of it was given out. */
export async function endRunEarly(change: Change, io: EngineIo, run: Run, error: AppError): Promise<void> {
  const state = error.code === 'STOPPED' ? 'stopped' : 'failed';
  const ended: Run = { ...run, state, fault: toFault(error), endedMs: io.clock.now() };
  await change.putRun(ended);
  await note(change, io, run.id, '', state === 'failed' ? 'error' : 'info', error.message);
  await runAlarms(change, io, ended);
  farewell(change, io, ended);
}

function farewell(change: Change, io: EngineIo, run: Run): void {
  change.after(() => {
    for (const { assignmentId } of run.sources) io.board.forget(assignmentId);
    io.log.info({ run: run.id, task: run.task, state: run.state, reason: run.fault?.message }, 'run ended');
    io.hint();
  });
}

/** What is there is good, also when a source failed: then the set says what it lacks. */
async function makeSet(change: Change, run: Run): Promise<void> {
  const files = run.sources.flatMap(({ file, storedOn, state }) =>
    file === undefined || state !== 'successful' ? [] : [{ file, nodes: storedOn }],
  );
  if (files.length === 0) return;
  const set: BackupSet = {
    id: run.setId,
    task: run.task,
    runId: run.id,
    createdMs: run.startedMs ?? run.createdMs,
    files,
    missingSources: run.sources.filter(({ state }) => state !== 'successful').map(({ source }) => source),
    pinned: false,
    deleting: undefined,
    verifiedMs: undefined,
    productVersion: run.productVersion,
    topology: run.topology,
  };
  await change.putSet(set);
}

export function withShare(run: Run, share: SourceRun): Run {
  return { ...run, sources: run.sources.map((each) => (each.source === share.source ? share : each)) };
}

export function stopFault(reason: string): FaultShape {
  return toFault(new AppError('STOPPED', reason));
}
