/** The first run that waits and can starts when there is room: rules, then its shares are placed, written, and given out. */
import { AppError, toFault } from '#common/errors.ts';
import { diskTime } from '#common/clock.ts';
import type { SourceName } from '#common/names.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { mayStart, nextToStart } from '#rules/admission.ts';
import type { OpenRun } from '#rules/admission.ts';
import { RESTORE_ORDER } from '#rules/outcome.ts';
import { placeOf } from '#rules/placement.ts';
import type { Run, SourceRun, Task } from '../model.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { agentsMayStillCome, newId, note, standbyIsThere, topologyOf } from './engine-io.ts';
import { endRunEarly, proceed } from './end-run.ts';
import { unwantedOf } from './tell-agents.ts';

export interface Starter {
  startNext(): Promise<void>;
}

export function createStarter(io: EngineIo): Starter {
  /** Why each goes on waiting: said once in its log, not at each tick. */
  const said = new Map<string, string>();

  async function say(change: Change, { id }: Run, reason: string): Promise<void> {
    if (said.get(id) === reason) return;
    said.set(id, reason);
    await note(change, io, id, '', 'warn', `does not start yet: ${reason}`);
  }

  return {
    async startNext() {
      await io.change(async (change) => {
        const open = await change.openRuns();
        for (const id of said.keys()) if (!open.some((run) => run.id === id && run.state === 'waiting')) said.delete(id);
        if (!open.some(({ state }) => state === 'waiting')) return;
        const wishes: OpenRun[] = [];
        for (const run of open)
          wishes.push({ id: run.id, running: run.state === 'running', sources: await sourcesOf(change, run) });
        const held = new Set<string>();
        for (;;) {
          const id = nextToStart(wishes, io.limits, held);
          const next = open.find((run) => run.id === id);
          if (next === undefined) return;
          const reason = next.kind === 'backup' ? await startBackup(change, io, next) : await startRestore(change, io, next);
          if (reason === undefined) return;
          await say(change, next, reason);
          // A moment, for all: a start of the controller must not change their order.
          if (reason === AGENTS_MAY_COME) return;
          held.add(next.id);
        }
      });
    },
  };
}

/** What a run takes for itself: as its task is now while it waits, as it was started when it runs. */
async function sourcesOf(change: Change, run: Run): Promise<readonly SourceName[]> {
  if (run.state === 'running') return run.sources.map(({ source }) => source);
  if (run.kind === 'restore') return (await change.restore(run.task))?.sources ?? [];
  return (await change.task(run.task))?.sources.map(({ source }) => source) ?? [];
}

/** Undefined when it started or ended; else why it goes on waiting. */
type WaitsFor = string | undefined;

const AGENTS_MAY_COME = 'the controller has just started, and agents that are missing may still come';

/** Two attempts must not touch one source at once: a run waits until what was given up there, or is cancelled, has ended. */
function stillEnding(io: EngineIo, nodes: readonly string[]): WaitsFor {
  const node = nodes.find((each) => unwantedOf(io, each).length > 0);
  return node === undefined ? undefined : `the agent of ${node} has not ended its work of an earlier run yet`;
}

async function startBackup(change: Change, io: EngineIo, run: Run): Promise<WaitsFor> {
  const task = await change.task(run.task);
  if (task === undefined) {
    await endRunEarly(change, io, run, new AppError('NOT_FOUND', `the task ${run.task} is gone`));
    return undefined;
  }
  const { active } = io.config.managementNodes;
  const vault = io.sessions.factsOf(active);
  const decision = mayStart({
    sources: task.sources.map(({ source }) => source),
    agents: io.sessions.facts(),
    active: { node: active, connected: vault?.connected ?? false, freeBytes: vault?.vault?.space?.freeBytes },
    minimumFreeBytes: io.limits.minimumFreeBytes,
  });
  const missing = decision.kind === 'refuse' ? !decision.noSpace : decision.unplaced.length > 0 || !standbyIsThere(io);
  if (missing && agentsMayStillCome(io)) return AGENTS_MAY_COME;
  if (decision.kind === 'refuse') {
    const code = decision.noSpace ? 'NO_SPACE' : 'UNAVAILABLE';
    await endRunEarly(change, io, run, new AppError(code, `the task ${task.name} was not started: ${decision.reason}`));
    return undefined;
  }
  const placeOfSource = new Map(decision.placed.map(({ source, node }) => [source, node]));
  const ending = stillEnding(io, [...placeOfSource.values()]);
  if (ending !== undefined) return ending;

  const now = io.clock.now();
  const { startedMs, latestStartMs } = await freeStart(change, task, now);
  const started: Run = {
    ...run,
    state: 'running',
    startedMs,
    startedFrom: task,
    topology: topologyOf(io.sessions),
    productVersion: PRODUCT_VERSION,
    sources: task.sources.map(({ source }) => share(io, source, placeOfSource.get(source), 'running')),
  };
  await change.putTask({ ...task, lastStartedMs: now, lastRunId: run.id, latestStartMs });
  change.after(() => void io.startedTasks.set(task.name, io.clock.monotonic()));
  await begin(change, io, started, `started: backup of ${run.task}`);
  return undefined;
}

async function startRestore(change: Change, io: EngineIo, run: Run): Promise<WaitsFor> {
  const restore = await change.restore(run.task);
  const set = await change.set(run.setId);
  if (restore === undefined || set?.deleting !== undefined || set === undefined) {
    const gone = new AppError('NOT_FOUND', `the set ${run.setId} of the restore ${run.task} is gone`);
    await endRunEarly(change, io, run, gone);
    return undefined;
  }
  const agents = io.sessions.facts();
  const placed = RESTORE_ORDER.filter((source) => restore.sources.some((each) => each === source)).map((source) => ({
    source: source as SourceName,
    node: placeOf(source, agents),
  }));
  if (placed.some(({ node }) => node === undefined) && agentsMayStillCome(io)) return AGENTS_MAY_COME;
  const ending = stillEnding(
    io,
    placed.flatMap(({ node }) => node ?? []),
  );
  if (ending !== undefined) return ending;

  const started: Run = {
    ...run,
    state: 'running',
    startedMs: io.clock.now(),
    topology: topologyOf(io.sessions),
    productVersion: PRODUCT_VERSION,
    sources: placed.map(({ source, node }) => ({
      ...share(io, source, node, 'waiting'),
      file: set.files.find(({ file }) => file.source === source)?.file,
    })),
  };
  await begin(change, io, started, `started: restore from ${set.id}`);
  return undefined;
}

async function begin(change: Change, io: EngineIo, run: Run, said: string): Promise<void> {
  await change.putRun(run);
  await note(change, io, run.id, '', 'info', said);
  change.after(() => io.log.info({ run: run.id, task: run.task }, 'run started'));
  await proceed(change, io, run);
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
    givenUp: false,
    startedMs: state === 'running' ? now : undefined,
    endedMs: node === undefined ? now : undefined,
  };
}

/** Names on disk count seconds: no two runs of a task may bear the same one, however the clock was set. */
async function freeStart(change: Change, task: Task, now: number): Promise<{ startedMs: number; latestStartMs: number }> {
  // As nearly always. The records of a long history are large: they are read only when the clock has been behind an earlier start.
  if (task.latestStartMs !== undefined && diskTime(now) > diskTime(task.latestStartMs)) {
    return { startedMs: now, latestStartMs: now };
  }
  const recent = (await change.listRuns(task.name, { size: 1000, token: '' })).items.flatMap(({ startedMs }) => startedMs ?? []);
  const taken = new Set(recent.map(diskTime));
  let startedMs = now;
  while (taken.has(diskTime(startedMs))) startedMs += 1000;
  return { startedMs, latestStartMs: Math.max(startedMs, task.latestStartMs ?? 0, ...recent) };
}
