/** A run as callers see it: what the catalogue holds, with the progress of this moment. */
import type { Run as RunMessage } from '#common/gen/holdfast/v1/admin.ts';
import type { Progress } from '#common/gen/holdfast/v1/types.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import type { Run, SourceRun } from '../model.ts';
import type { Queries } from '../store/store.ts';
import { runMessage } from './to-proto.ts';

export async function presentRun(from: Queries, io: EngineIo, run: Run): Promise<RunMessage> {
  const queue = run.state === 'waiting' ? await queueOf(from) : [];
  return runMessage(run, (share) => progressOf(io, share), queue.indexOf(run.id) + 1);
}

export async function presentRuns(from: Queries, io: EngineIo, runs: readonly Run[]): Promise<RunMessage[]> {
  const queue = await queueOf(from);
  return runs.map((run) => runMessage(run, (share) => progressOf(io, share), queue.indexOf(run.id) + 1));
}

async function queueOf(from: Queries): Promise<string[]> {
  return (await from.openRuns()).filter(({ state }) => state === 'waiting').map(({ id }) => id);
}

/** What has ended well has done all its bytes; what runs says so itself. */
function progressOf(io: EngineIo, share: SourceRun): Progress | undefined {
  if (share.state === 'successful' && share.file !== undefined) {
    const { contentBytes } = share.file;
    return { phase: 'done', doneBytes: contentBytes, totalBytes: contentBytes, bytesPerSecond: 0n, estimatedEndMs: 0n };
  }
  return io.board.of(share.assignmentId);
}
