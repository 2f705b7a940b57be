/** A run is asked to end: what waits never begins, what runs is told (tell-agents.ts), and ends when its agent has cleaned up. */
import { AppError } from '#common/errors.ts';
import type { Run } from '../model.ts';
import { endRunEarly } from './end-run.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { note } from './engine-io.ts';

export async function stopRun(change: Change, io: EngineIo, run: Run, reason: string): Promise<void> {
  if (run.state === 'waiting') return endRunEarly(change, io, run, new AppError('STOPPED', reason));
  if (run.state !== 'running' || run.stopReason !== undefined) return;
  await change.putRun({ ...run, stopReason: reason });
  await note(change, io, run.id, '', 'warn', reason);
  change.after(() => io.hint());
}
