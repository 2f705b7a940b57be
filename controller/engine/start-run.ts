/** The run that waits first starts when none runs: rules, then its shares are placed, written, and given out. */
import { AppError, toFault } from '#common/errors.ts';
import { diskTime } from '#common/clock.ts';
import type { SourceName } from '#common/names.ts';
import { mayStart, placeOf } from '#rules/admission.ts';
import { RESTORE_ORDER } from '#rules/outcome.ts';
import type { BackupSet, Restore, Run, SourceRun, Task } from '../model.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { newId, note } from './engine-io.ts';
import { endRunEarly, proceed } from './end-run.ts';
import { giveOut } from './give-out.ts';

export async function startNext(io: EngineIo): Promise<void> {
  await io.change(async (change) => {
    const open = await change.openRuns();
    const next = open.find(({ state }) => state === 'waiting');
    if (next === undefined || open.some(({ state }) => state === 'running')) return;
    if (next.kind === 'backup') await startBackup(change, io, next);
    else await startRestore(change, io, next);
  });
}

async function startBackup(change: Change, io: EngineIo, run: Run): Promise<void> {
  const task = await change.task(run.task);
  if (task === undefined) return endRunEarly(change, io, run, new AppError('NOT_FOUND', `the task ${run.task} is gone`));
  const { active } = io.config.managementNodes;
  const vault = io.sessions.factsOf(active);
  const decision = mayStart({
    sources: task.sources.map(({ source }) => source),
    agents: io.sessions.facts(),
    active: { node: active, connected: vault?.connected ?? false, freeBytes: vault?.vault?.space?.freeBytes },
    minimumFreeBytes: io.config.minimumFree,
  });
  if (agentsMayStillCome(io) && (decision.kind === 'refuse' ? !decision.noSpace : decision.unplaced.length > 0)) return;
  if (decision.kind === 'refuse') {
    const code = decision.noSpace ? 'NO_SPACE' : 'UNAVAILABLE';
    return endRunEarly(change, io, run, new AppError(code, `the task ${task.name} was not started: ${decision.reason}`));
  }
  const now = io.clock.now();
  const started: Run = {
    ...run,
    state: 'running',
    startedMs: await freeStart(change, task, now),
    startedFrom: task,
    sources: task.sources.map(({ source }) =>
      share(io, source, decision.placed.find((placed) => placed.source === source)?.node, 'running'),
    ),
  };
  await change.putTask({ ...task, lastStartedMs: now, lastRunId: run.id });
  await begin(change, io, started);
}

async function startRestore(change: Change, io: EngineIo, run: Run): Promise<void> {
  const restore = await change.restore(run.task);
  const set = await change.set(run.setId);
  if (restore === undefined || set === undefined || set.deleting) {
    return endRunEarly(change, io, run, new AppError('NOT_FOUND', `the set ${run.setId} of the restore ${run.task} is gone`));
  }
  const agents = io.sessions.facts();
  const wanted = RESTORE_ORDER.filter((source) => restore.sources.some((each) => each === source)) as SourceName[];
  if (agentsMayStillCome(io) && wanted.some((source) => placeOf(source, agents) === undefined)) return;
  const started: Run = {
    ...run,
    state: 'running',
    startedMs: io.clock.now(),
    sources: wanted.map((source) => ({
      ...share(io, source, placeOf(source, agents), 'waiting'),
      file: set.files.find(({ file }) => file.source === source)?.file,
    })),
  };
  await begin(change, io, started, { restore, set });
}

async function begin(change: Change, io: EngineIo, run: Run, of?: { restore: Restore; set: BackupSet }): Promise<void> {
  await change.putRun(run);
  await note(
    change,
    io,
    run.id,
    '',
    'info',
    of === undefined ? `started: backup of ${run.task}` : `started: restore from ${of.set.id}`,
  );
  change.after(() => io.log.info({ run: run.id, task: run.task }, 'run started'));
  if (run.kind === 'backup') for (const each of run.sources) if (each.state === 'running') await giveOut(change, io, run, each);
  await proceed(change, io, run);
}

/** After a start of the controller agents need a moment to come back: what is missing then is not yet a fault. */
function agentsMayStillCome(io: EngineIo): boolean {
  return io.clock.monotonic() - io.startedAt < io.config.lease;
}

function share(io: EngineIo, source: SourceName, node: string | undefined, state: 'running' | 'waiting'): SourceRun {
  const now = io.clock.now();
  const nobody = new AppError('UNAVAILABLE', `no connected agent offers ${source}`, {
    hint: 'Start the agent of its node, and look whether its agent.yaml has this source.',
  });
  return {
    source,
    node: node ?? '',
    state: node === undefined ? 'failed' : state,
    assignmentId: newId('a', now),
    attempt: 1,
    fault: node === undefined ? toFault(nobody) : undefined,
    file: undefined,
    storedOn: [],
    startedMs: state === 'running' ? now : undefined,
    endedMs: node === undefined ? now : undefined,
  };
}

/** Names on disk count seconds: no two runs of a task may bear the same one, however the clock was set. */
async function freeStart(change: Change, task: Task, now: number): Promise<number> {
  const recent = await change.listRuns(task.name, { size: 1000, token: '' });
  const taken = new Set(recent.items.flatMap(({ startedMs }) => (startedMs === undefined ? [] : [diskTime(startedMs)])));
  let start = now;
  while (taken.has(diskTime(start))) start += 1000;
  return start;
}
