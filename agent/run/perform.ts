/** One assignment from its private directory to its outcome: whatever happens in between is an outcome too. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assertNever } from '#common/assert-never.ts';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import { runBackup } from './backup.ts';
import { runDelete } from './delete.ts';
import type { Job, Outcome } from './job.ts';
import { runInventory } from './inventory.ts';
import { runMirror } from './mirror.ts';
import { runPlanRestore, runRestore } from './restore.ts';
import type { RunIo } from './run-io.ts';
import type { RunnerOptions } from './runner-options.ts';
import { runVerify } from './verify.ts';

export async function outcomeOf(job: Job, signal: AbortSignal, options: RunnerOptions): Promise<Outcome> {
  const workDirectory = join(options.workDirectory, job.assignmentId);
  options.log.info({ assignment: job.assignmentId, run: job.runId, work: job.work.kind }, 'assignment begun');
  try {
    await mkdir(workDirectory, { mode: 0o700 });
    return await work(job, runIo(job, signal, workDirectory, options));
  } catch (caught) {
    return failureOf(caught, job, signal, options);
  } finally {
    // The work has its end, whatever becomes of its spool, which the next start empties.
    await rm(workDirectory, { recursive: true, force: true }).catch((error: unknown) =>
      options.log.warn({ assignment: job.assignmentId, err: error }, 'the private directory of an assignment cannot be removed'),
    );
  }
}

export function failureOf(caught: unknown, job: Job, signal: AbortSignal, options: RunnerOptions): Outcome {
  const doing = `${job.work.kind} of run ${job.runId}`;
  const error = signal.aborted && isAbortOf(caught, signal) ? stopOf(caught, signal, doing) : toAppError(caught, doing);
  options.log.error({ assignment: job.assignmentId, run: job.runId, code: error.code, err: error }, 'assignment failed');
  options.onLog(job, 'error', error.message);
  if (error.code === 'UNKNOWN_STATE') return { kind: 'unknownState', fault: toFault(error) };
  return { kind: signal.aborted ? 'stopped' : 'failed', fault: toFault(error) };
}

/** Who stopped it and why; and what it has come to, when the work says that itself: a restore may have been rolled back. */
function stopOf(caught: unknown, signal: AbortSignal, doing: string): AppError {
  const reason = toAppError(signal.reason, doing);
  if (caught === signal.reason || !(caught instanceof AppError)) return reason;
  return new AppError('STOPPED', `${reason.message}; ${caught.message}`, { cause: caught, hint: reason.hint });
}

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
    case 'inventory':
      return runInventory(job.work, io);
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
    log(level, message) {
      // Here too: while the line is down the controller hears nothing.
      options.log[level]({ assignment: job.assignmentId, run: job.runId, said: message }, 'log of a run');
      options.onLog(job, level, message);
    },
    progress: (phase, done, total) => options.onProgress(job, phase, done, total),
    source(name) {
      const source = options.sources.get(name);
      if (source === undefined) throw new AppError('NOT_FOUND', `the source ${name} is not configured on node ${options.node}`);
      return source;
    },
    openVault: (access) => options.openVault(access, signal),
    saveUndo: (undo) => options.saveUndo(job.assignmentId, undo),
    markCommitted: () => options.markCommitted(job.assignmentId),
  };
}
