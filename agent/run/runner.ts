/**
 * Does assignments: each in its own private directory, stoppable, its end journaled before it is told. An assignment is done
 * once: the same id again is ignored, and its end is told again until the controller has acknowledged it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import { assertNever } from '#common/assert-never.ts';
import type { Logger } from '#common/log.ts';
import type { SourceName } from '#common/names.ts';
import type { Source, UndoRecord } from '../sources/source.ts';
import type { Target } from '../targets/target.ts';
import { runBackup } from './backup.ts';
import { runDelete } from './delete.ts';
import type { FinishedJob, Job, Outcome, VaultAccess, Work } from './job.ts';
import { runMirror } from './mirror.ts';
import { runPlanRestore, runRestore } from './restore.ts';
import type { RunIo } from './run-io.ts';
import { runVerify } from './verify.ts';

export interface RunnerOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sources: ReadonlyMap<SourceName, Source>;
  /** Spool of the assignments; emptied at start. */
  readonly workDirectory: string;
  readonly concurrency: number;
  readonly compressionLevel: number;
  openVault(access: VaultAccess, signal: AbortSignal): Promise<Target & AsyncDisposable>;
  saveUndo(assignmentId: string, undo: UndoRecord): Promise<void>;
  forgetUndo(assignmentId: string): Promise<void>;
  /** Journaled when it resolves; then it is told to the controller. */
  finish(job: FinishedJob): Promise<void>;
  onProgress(job: Job, phase: string, doneBytes: bigint, totalBytes: bigint | undefined): void;
  onLog(job: Job, level: 'info' | 'warn' | 'error', message: string): void;
}

export interface Runner {
  start(job: Job): void;
  cancel(assignmentId: string, reason: string): void;
  running(): string[];
  /** Stops what runs and waits for its end. */
  stop(): Promise<void>;
}

export async function createRunner(options: RunnerOptions): Promise<Runner> {
  await rm(options.workDirectory, { recursive: true, force: true });
  await mkdir(options.workDirectory, { recursive: true, mode: 0o700 });
  const active = new Map<string, { controller: AbortController; done: Promise<void> }>();
  // Sources compete for disks and cores; chores for neither with each other. Plans are looked at by a waiting person.
  const limits = { heavy: pLimit(options.concurrency), chores: pLimit(2), plans: pLimit(8) };

  async function perform(job: Job, signal: AbortSignal): Promise<void> {
    const outcome = await limits[weight(job.work)](() => outcomeOf(job, signal, options));
    await options.finish({ ...job, endedMs: options.clock.now(), outcome });
    active.delete(job.assignmentId);
  }

  return {
    start(job) {
      if (active.has(job.assignmentId)) return;
      const controller = new AbortController();
      const done = perform(job, controller.signal).catch((error: unknown) => {
        // Only the journal can fail here; the run goes on as "running" and ends as lost at the next start.
        options.log.error({ assignment: job.assignmentId, error }, 'the end of an assignment could not be journaled');
      });
      active.set(job.assignmentId, { controller, done });
    },
    cancel(assignmentId, reason) {
      active.get(assignmentId)?.controller.abort(new AppError('STOPPED', reason));
    },
    running: () => [...active.keys()],
    async stop() {
      for (const { controller } of active.values()) controller.abort(new AppError('STOPPED', 'the agent is shutting down'));
      await Promise.all([...active.values()].map(({ done }) => done));
    },
  };
}

function weight({ kind }: Work): 'heavy' | 'chores' | 'plans' {
  switch (kind) {
    case 'backup':
    case 'restore':
      return 'heavy';
    case 'planRestore':
      return 'plans';
    case 'verify':
    case 'delete':
    case 'mirror':
      return 'chores';
    default:
      return assertNever(kind);
  }
}

async function outcomeOf(job: Job, signal: AbortSignal, options: RunnerOptions): Promise<Outcome> {
  const workDirectory = join(options.workDirectory, job.assignmentId);
  const doing = `${job.work.kind} of run ${job.runId}`;
  options.log.info({ assignment: job.assignmentId, run: job.runId, work: job.work.kind }, 'assignment begun');
  try {
    signal.throwIfAborted();
    await mkdir(workDirectory, { mode: 0o700 });
    return await work(job, runIo(job, signal, workDirectory, options));
  } catch (caught) {
    const error = toAppError(signal.aborted && isAbortOf(caught, signal) ? signal.reason : caught, doing);
    options.log.error({ assignment: job.assignmentId, run: job.runId, code: error.code, err: error }, 'assignment failed');
    options.onLog(job, 'error', error.message);
    if (error.code === 'UNKNOWN_STATE') return { kind: 'unknownState', fault: toFault(error) };
    return { kind: signal.aborted ? 'stopped' : 'failed', fault: toFault(error) };
  } finally {
    await rm(workDirectory, { recursive: true, force: true });
  }
}

/** Whether the failure is the stop itself, whose reason says more than "aborted". */
function isAbortOf(caught: unknown, signal: AbortSignal): boolean {
  return (
    caught === signal.reason ||
    (caught instanceof AppError && caught.code === 'STOPPED') ||
    (caught instanceof Error && caught.name === 'AbortError')
  );
}

function work(job: Job, io: RunIo): Promise<Outcome> {
  switch (job.work.kind) {
    case 'backup':
      return runBackup(job, job.work, io);
    case 'planRestore':
      return runPlanRestore(job.work, io);
    case 'restore':
      return runRestore(job.work, io);
    case 'verify':
      return runVerify(job.work, io);
    case 'delete':
      return runDelete(job.work, io);
    case 'mirror':
      return runMirror(job.work, io);
    default:
      return assertNever(job.work);
  }
}

export function runIo(job: Job, signal: AbortSignal, workDirectory: string, options: RunnerOptions): RunIo {
  return {
    node: options.node,
    clock: options.clock,
    signal,
    workDirectory,
    compressionLevel: options.compressionLevel,
    log: (level, message) => options.onLog(job, level, message),
    progress: (phase, done, total) => options.onProgress(job, phase, done, total),
    source(name) {
      const source = options.sources.get(name);
      if (source === undefined) throw new AppError('NOT_FOUND', `the source ${name} is not configured on node ${options.node}`);
      return source;
    },
    openVault: (access) => options.openVault(access, signal),
    saveUndo: (undo) => options.saveUndo(job.assignmentId, undo),
    forgetUndo: () => options.forgetUndo(job.assignmentId),
  };
}
