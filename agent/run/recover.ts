/**
 * After a start: the assignments that the last death of this agent cut off end as failed, with what they left undone put right.
 * A restore that had switched and not committed is put back; a backup's half-written files are removed.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { backupFileKeys } from '#common/names.ts';
import { jobOf } from '../session/from-proto.ts';
import type { Journal } from '../session/journal.ts';
import type { UndoRecord } from '../sources/source.ts';
import type { BackupWork, Job, Outcome, RestoreWork } from './job.ts';
import { removeIncomplete } from './incomplete.ts';
import { removeStaged, unknownState } from './restore.ts';
import { sourceIo } from './run-io.ts';
import type { RunIo } from './run-io.ts';
import { runIo } from './perform.ts';
import { endJournaled } from './runner.ts';
import type { RunnerOptions } from './runner-options.ts';
import { openVaultPair } from './vault-pair.ts';

/**
 * Each ends as failed or in an unknown state, journaled, before anything new begins. What the signal stops is left as it is for the
 * next start.
 */
export async function recoverCutOff(
  cutOff: readonly Assign[],
  journal: Journal,
  options: RunnerOptions,
  signal: AbortSignal,
): Promise<void> {
  for (const assign of cutOff) {
    const outcome = await recoverOne(assign, journal, options, signal);
    if (signal.aborted) return;
    await endJournaled({ ...assign, endedMs: options.clock.now(), outcome }, options, signal);
  }
}

async function recoverOne(assign: Assign, journal: Journal, options: RunnerOptions, signal: AbortSignal): Promise<Outcome> {
  const workDirectory = join(options.workDirectory, `${assign.assignmentId}-recovery`);
  const cutOff = new AppError('FAILED', `the agent on ${options.node} died in mid-run`, {
    hint: 'See its log for why, then run it again.',
  });
  try {
    const job = jobOf(assign);
    await mkdir(workDirectory, { mode: 0o700 });
    const io = runIo(job, signal, workDirectory, options);
    switch (job.work.kind) {
      case 'backup': {
        const left = await clearBackup(job.work, io);
        const message = left === undefined ? cutOff.message : `${cutOff.message}; and ${left}`;
        return { kind: 'failed', fault: { ...toFault(cutOff), message } };
      }
      case 'restore':
        return await recoverRestore(job, job.work, journal, cutOff, io);
      default:
        return { kind: 'failed', fault: toFault(cutOff) };
    }
  } catch (error) {
    const second = toAppError(error, `put right what ${assign.assignmentId} left`);
    options.log.error({ assignment: assign.assignmentId, err: second }, 'what was cut off cannot be put right');
    const isRestore = assign.work?.$case === 'restore';
    return isRestore
      ? { kind: 'unknownState', fault: toFault(unknownState('what was cut off', cutOff, second)) }
      : { kind: 'failed', fault: { ...toFault(cutOff), message: `${cutOff.message}; and then ${second.message}` } };
  } finally {
    await rm(workDirectory, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function recoverRestore(job: Job, work: RestoreWork, journal: Journal, cutOff: AppError, io: RunIo): Promise<Outcome> {
  const readUndo = () => journal.undoOf(job.assignmentId);
  if (await journal.isCommitted(job.assignmentId)) return endCommitted(work, readUndo, io);
  const undo = await readUndo();
  if (undo === undefined) {
    await removeStaged(work, io);
    return { kind: 'failed', fault: toFault(cutOff) };
  }
  return putBack(work.file.source, undo, cutOff, io);
}

/** It has succeeded, whatever becomes of what it replaced. */
async function endCommitted(work: RestoreWork, readUndo: () => Promise<UndoRecord | undefined>, io: RunIo): Promise<Outcome> {
  const line = `every check had passed when the agent on ${io.node} died`;
  io.log('warn', line);
  try {
    const undo = await readUndo();
    if (undo !== undefined) await io.source(work.file.source).commitRestore(undo, sourceIo(io, io.workDirectory));
  } catch (error) {
    const { message } = toAppError(error, `remove what the restore of ${work.file.source} replaced`);
    io.log('warn', `${message}; it still lies beside`);
  }
  return { kind: 'restore', checks: [line], restoredBytes: work.file.contentBytes };
}

async function putBack(name: Parameters<RunIo['source']>[0], undo: UndoRecord, cutOff: AppError, io: RunIo): Promise<Outcome> {
  try {
    await io.source(name).undoRestore(undo, sourceIo(io, io.workDirectory));
    const message = `${cutOff.message}; the restore of ${name} was rolled back, the state before it is in place`;
    io.log('warn', message);
    return { kind: 'failed', fault: { ...toFault(cutOff), message } };
  } catch (error) {
    const failure = unknownState(name, cutOff, toAppError(error, `roll back ${name}`));
    io.log('error', failure.message);
    return { kind: 'unknownState', fault: toFault(failure) };
  }
}

/** Answers what is left. */
async function clearBackup(work: BackupWork, io: RunIo): Promise<string | undefined> {
  const { prefix } = backupFileKeys({ ...work, version: work.productVersion });
  try {
    await using vaults = await openVaultPair(work.vaults, io);
    return await removeIncomplete(vaults, prefix, io);
  } catch (error) {
    const left = `what is incomplete below ${prefix} could not be removed: ${toAppError(error, 'open the vaults').message}`;
    io.log('error', left);
    return left;
  }
}
