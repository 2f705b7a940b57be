/** What the words of agents mean for runs. State is compared at each Hello; events are never replayed. */
import { AppError, toAppError, toFault } from '#common/errors.ts';
import type { Finished, Hello, LogReport, ProgressReport, Welcome } from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile as FileMessage, StoredFile } from '#common/gen/holdfast/v1/types.ts';
import type { StoredName } from '#common/manifest.ts';
import { isSourceName } from '#common/names.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { ALARMS } from '#rules/alarms.ts';
import { raise } from '../alarms/alarms.ts';
import type { BackupFile, Run, SourceRun } from '../model.ts';
import type { SessionEvents } from '../sessions/sessions.ts';
import { endShare, stopFault } from './end-run.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { managementNodes, note } from './engine-io.ts';
import { prefixOfShare } from './assign.ts';
import { assignmentOf, cannotGiveOut, givenOf } from './give-out.ts';

export function createHearing(io: () => EngineIo): SessionEvents {
  /** What each agent said it was doing in its last Hello. */
  const running = new Map<string, readonly string[]>();
  return {
    async hello(hello) {
      const welcome = await compare(io(), hello);
      running.set(hello.node, hello.running);
      return welcome;
    },
    welcomed: (node) => giveWhatIsMissing(io(), node, running.get(node) ?? []),
    finished: (node, finished) => recordFinished(io(), node, finished),
    progress: (node, report) => noteProgress(io(), node, report),
    log: (node, report) => noteLog(io(), node, report),
  };
}

/** What of the finished is recorded and can be forgotten; what of the running was given up. */
async function compare(io: EngineIo, hello: Hello): Promise<Welcome> {
  for (const finished of hello.finished) await recordFinished(io, hello.node, finished);
  const errands = io.errands.ofNode(hello.node).map(({ assignmentId }) => assignmentId);
  const wanted = new Set([...errands, ...(await openShares(io, hello.node)).map(({ share }) => share.assignmentId)]);
  return {
    controllerVersion: PRODUCT_VERSION,
    heartbeatSeconds: Math.max(1, Math.round(io.config.heartbeat / 1000)),
    cancel: hello.running.filter((id) => !wanted.has(id)),
    acknowledged: hello.finished.map(({ assignmentId }) => assignmentId),
  };
}

async function openShares(io: EngineIo, node: string): Promise<{ run: Run; share: SourceRun }[]> {
  const runs = await io.store.openRuns();
  return runs.flatMap((run) =>
    run.sources.filter((share) => share.node === node && share.state === 'running').map((share) => ({ run, share })),
  );
}

/** An assignment that the agent neither does nor has finished never reached it: told again, under the same id. */
async function giveWhatIsMissing(io: EngineIo, node: string, running: readonly string[]): Promise<void> {
  for (const { run, share } of await openShares(io, node)) {
    if (!io.given.has(share.assignmentId)) io.given.set(share.assignmentId, await givenOf(io.store, run, share));
    const isRunning = running.includes(share.assignmentId);
    if (run.stopReason !== undefined) {
      if (isRunning)
        io.sessions.send(node, { $case: 'cancel', value: { assignmentId: share.assignmentId, reason: run.stopReason } });
      else await endIfRunning(io, run.id, share.assignmentId, { state: 'stopped', fault: stopFault(run.stopReason) });
    } else if (!isRunning) {
      try {
        io.sessions.send(node, { $case: 'assign', value: await assignmentOf(io.store, io, run, share) });
      } catch (error) {
        await endIfRunning(io, run.id, share.assignmentId, { state: 'failed', fault: toFault(cannotGiveOut(error, share)) });
      }
    }
  }
  for (const assign of io.errands.ofNode(node)) {
    if (!running.includes(assign.assignmentId)) io.sessions.send(node, { $case: 'assign', value: assign });
  }
  io.hint();
}

async function endIfRunning(
  io: EngineIo,
  runId: string,
  assignmentId: string,
  end: Pick<SourceRun, 'state' | 'fault'>,
): Promise<void> {
  await io.change(async (change) => {
    const run = await change.run(runId);
    const share = run?.sources.find((each) => each.assignmentId === assignmentId);
    if (run !== undefined && share?.state === 'running') await endShare(change, io, run, { ...share, ...end });
  });
}

async function recordFinished(io: EngineIo, node: string, finished: Finished): Promise<void> {
  if (io.errands.finish(node, finished)) return;
  const { assignmentId, runId, attempt } = finished;
  await io.change(async (change) => {
    const run = await change.run(runId);
    const share = run?.sources.find((each) => each.assignmentId === assignmentId);
    if (run === undefined || share === undefined || share.node !== node || share.attempt < attempt) {
      change.after(() =>
        io.log.info({ node, assignment: assignmentId, run: runId }, 'the end of an unknown assignment was ignored'),
      );
      return;
    }
    const end = endOf(run, share, finished);
    if (share.state === 'running' && share.attempt === attempt) return endShare(change, io, run, end);
    await hearLate(change, io, run, share, end);
  });
}

/** An attempt that was given up has come to its end after all. What it wrote is cleared; what it restored is said. */
async function hearLate(change: Change, io: EngineIo, run: Run, share: SourceRun, end: SourceRun): Promise<void> {
  // Told twice, and recorded the first time.
  if (share.fault?.code !== 'UNAVAILABLE') return;
  const said = `after it was given up, the agent of ${share.node} said: ${end.state}${end.fault === undefined ? '' : `, ${end.fault.message}`}`;
  await note(change, io, run.id, share.source, 'warn', said);
  if (run.kind === 'backup') await leaveToClear(change, io, run, share);
  if (end.fault?.code === 'UNKNOWN_STATE') await raise(change, io, ALARMS.unknownState.id, share.source, end.fault.message);
}

/** Both vaults are to be cleared of what this share may have left, under an attempt that fences it there. */
export async function leaveToClear(change: Change, io: EngineIo, run: Run, share: SourceRun): Promise<void> {
  await change.putLeftover({
    runId: run.id,
    attempt: share.attempt + 1,
    prefix: prefixOfShare(run, share),
    nodes: managementNodes(io.config),
  });
  change.after(() => io.hint());
}

function endOf(run: Run, share: SourceRun, { outcome }: Finished): SourceRun {
  switch (outcome?.$case) {
    case 'failed':
    case 'unknownState':
      return { ...share, state: 'failed', fault: outcome.value };
    case 'stopped':
      // Of itself, an agent stops only when it is shut down.
      return { ...share, state: run.stopReason === undefined ? 'failed' : 'stopped', fault: outcome.value };
    case 'backup':
      try {
        const file = fileOf(outcome.value.file);
        if (file.source !== share.source) throw new AppError('INVALID', `it is of ${file.source}`);
        const storedOn = outcome.value.vaults.filter(({ failed }) => failed === undefined).map(({ node }) => node);
        return { ...share, state: 'successful', file, storedOn };
      } catch (error) {
        const fault = toFault(toAppError(error, `read the backup file that the agent of ${share.node} reports`));
        return { ...share, state: 'failed', fault };
      }
    case 'restore':
      return { ...share, state: 'successful' };
    default: {
      const fault = toFault(
        new AppError('FAILED', `the agent of ${share.node} ended ${share.source} in a way this controller does not know`),
      );
      return { ...share, state: 'failed', fault };
    }
  }
}

function noteProgress(io: EngineIo, node: string, { assignmentId, attempt, progress }: ProgressReport): void {
  const given = io.given.get(assignmentId);
  if (given === undefined || progress === undefined || given.node !== node || given.attempt !== attempt) return;
  io.board.set(assignmentId, expect(progress, given.expectedBytes, io.clock.now()));
  io.watchers.changed(given.runId);
}

/** An agent that reads a live source knows no total: then the last backup of it is the measure, for as long as it can be. */
function expect(progress: NonNullable<ProgressReport['progress']>, expected: bigint, now: number) {
  const { doneBytes, totalBytes, bytesPerSecond } = progress;
  if (totalBytes > 0n || expected === 0n || doneBytes > expected) return progress;
  const estimatedEndMs = bytesPerSecond > 0n ? BigInt(now) + ((expected - doneBytes) * 1000n) / bytesPerSecond : 0n;
  return { ...progress, totalBytes: expected, estimatedEndMs };
}

async function noteLog(io: EngineIo, node: string, { assignmentId, attempt, level, message, timeMs }: LogReport): Promise<void> {
  const given = io.given.get(assignmentId);
  if (given === undefined || given.node !== node || given.attempt !== attempt) return;
  await io.change((change) =>
    change.addLog({ runId: given.runId, source: given.source, level, message, timeMs: Number(timeMs) }),
  );
}

function fileOf(message: FileMessage | undefined): BackupFile {
  const { source, manifest, archive, index, entries, contentBytes } = required(message, 'backup file');
  if (!isSourceName(source)) throw new AppError('INVALID', `it is of the unknown source ${JSON.stringify(source)}`);
  const files = { manifest: storedOf(manifest), archive: storedOf(archive), index: storedOf(index) };
  return { source, ...files, entries: Number(entries), contentBytes };
}

function storedOf(message: StoredFile | undefined): StoredName {
  const { key, sizeBytes, sha256 } = required(message, 'stored file');
  return { key, size: sizeBytes, sha256 };
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AppError('INVALID', `it names no ${what}`);
  return value;
}
