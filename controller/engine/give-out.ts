/** A share of a run goes to its agent; from then on the agent's words count for it. */
import { AppError, toAppError } from '#common/errors.ts';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import type { Queries } from '../store/store.ts';
import type { Run, SourceRun } from '../model.ts';
import { assignBackup, assignRestore } from './assign.ts';
import type { Change, EngineIo, Given } from './engine-io.ts';
import { note } from './engine-io.ts';

/** @throws AppError when it cannot be given out at all: nothing to read from, for example. */
export async function giveOut(change: Change, io: EngineIo, run: Run, share: SourceRun): Promise<void> {
  const assign = await assignmentOf(change, io, run, share);
  const given = await givenOf(change, run, share);
  await note(change, io, run.id, share.source, 'info', `given to the agent of ${share.node}`);
  change.after(() => {
    io.given.set(share.assignmentId, given);
    // When it has just gone, its next Hello makes up for it, or the lease ends it.
    io.sessions.send(share.node, { $case: 'assign', value: assign });
  });
}

export async function assignmentOf(from: Queries, io: EngineIo, run: Run, share: SourceRun): Promise<Assign> {
  if (run.kind === 'backup') return assignBackup(io, run, share);
  const restore = await from.restore(run.task);
  const set = await from.set(run.setId);
  if (restore === undefined || set === undefined) throw new AppError('NOT_FOUND', `the set ${run.setId} is gone`);
  return assignRestore(io, run, share, restore, set);
}

export async function givenOf(from: Queries, run: Run, { source, node, attempt, file }: SourceRun): Promise<Given> {
  if (file !== undefined) return { runId: run.id, source, node, attempt, expectedBytes: 0n };
  const last = (await from.listSets(run.task, { size: 1, token: '' })).items[0];
  const before = last?.files.find((held) => held.file.source === source)?.file.contentBytes;
  return { runId: run.id, source, node, attempt, expectedBytes: before ?? 0n };
}

/** The failure of giving out, as the end of that share. */
export function cannotGiveOut(caught: unknown, share: SourceRun): AppError {
  return toAppError(caught, `give ${share.source} to the agent of ${share.node}`);
}
