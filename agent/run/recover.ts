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
import type { Job, Outcome } from './job.ts';
import { removeIncomplete } from './incomplete.ts';
import { unknownState } from './restore.ts';
import { sourceIo } from './run-io.ts';
import type { RunIo } from './run-io.ts';
import { runIo } from './runner.ts';
import type { RunnerOptions } from './runner.ts';
import { openVaultPair } from './vault-pair.ts';

/** Each ends as failed or in an unknown state, journaled, before new work of its kind can touch the same source. */
export async function recoverCutOff(cutOff: readonly Assign[], journal: Journal, options: RunnerOptions): Promise<void> {
  for (const assign of cutOff) {
    const workDirectory = join(options.workDirectory, `${assign.assignmentId}-recovery`);
    try {
      const job = jobOf(assign);
      await mkdir(workDirectory, { mode: 0o700 });
      const io = runIo(job, new AbortController().signal, workDirectory, options);
      const outcome = await recover(job, await journal.undoOf(assign.assignmentId), io);
      await options.finish({ ...job, endedMs: options.clock.now(), outcome });
    } catch (error) {
      options.log.error(
        { assignment: assign.assignmentId, err: error },
        'an assignment that was cut off could not be ended; the next start tries again',
      );
    } finally {
      await rm(workDirectory, { recursive: true, force: true });
    }
  }
}

async function recover(job: Job, undo: UndoRecord | undefined, io: RunIo): Promise<Outcome> {
  const cutOff = new AppError('FAILED', `the agent on ${io.node} died in mid-run`, {
    hint: 'See its log for why, then run it again.',
  });
  switch (job.work.kind) {
    case 'backup':
      await clearBackup(job, io);
      return { kind: 'failed', fault: toFault(cutOff) };
    case 'restore':
      return undo === undefined ? { kind: 'failed', fault: toFault(cutOff) } : putBack(job.work.file.source, undo, cutOff, io);
    default:
      return { kind: 'failed', fault: toFault(cutOff) };
  }
}

async function putBack(name: Parameters<RunIo['source']>[0], undo: UndoRecord, cutOff: AppError, io: RunIo): Promise<Outcome> {
  try {
    await io.source(name).undoRestore(undo, sourceIo(io, io.workDirectory));
    await io.forgetUndo();
    const message = `${cutOff.message}; the restore of ${name} was rolled back, the state before it is in place`;
    io.log('warn', message);
    return { kind: 'failed', fault: { ...toFault(cutOff), message } };
  } catch (error) {
    const failure = unknownState(name, cutOff, toAppError(error, `roll back ${name}`));
    io.log('error', failure.message);
    return { kind: 'unknownState', fault: toFault(failure) };
  }
}

async function clearBackup(job: Job, io: RunIo): Promise<void> {
  if (job.work.kind !== 'backup') return;
  const { prefix } = backupFileKeys({ ...job.work, version: job.work.productVersion });
  try {
    await using vaults = await openVaultPair(job.work.vaults, io);
    await removeIncomplete(vaults, prefix, io);
  } catch (error) {
    // The vaults may be down as well; the controller's clean-up pass removes it when they are back.
    io.log('warn', toAppError(error, `remove what is incomplete below ${prefix}`).message);
  }
}
