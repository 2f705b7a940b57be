/** An agent that stays away longer than the lease, or does not end what was stopped, ends its shares as failed: nothing runs for ever. */
import { AppError, toFault } from '#common/errors.ts';
import type { Run, SourceRun } from '../model.ts';
import { endShare } from './end-run.ts';
import type { EngineIo } from './engine-io.ts';
import { runningShares } from './tell-agents.ts';

export interface Loser {
  loseAgents(): Promise<void>;
}

export function createLoser(io: EngineIo): Loser {
  /** When each stopped run was first seen, on the monotonic clock. */
  const stoppedAt = new Map<string, number>();

  /** Why a share is given up; undefined: it is not. */
  function reasonToGiveUp(run: Run, { node }: SourceRun): AppError | undefined {
    if (isGone(io, node)) return gone(io, node);
    const since = stoppedAt.get(run.id);
    if (since === undefined || io.clock.monotonic() - since <= io.config.stopTimeout) return undefined;
    const text = `the agent of ${node} did not end it within ${io.config.stopTimeout / 1000} s after the stop, and was given up`;
    return new AppError('TIMEOUT', `${run.stopReason}; ${text}`, {
      hint: `See the log of the agent of ${node}; start it again.`,
    });
  }

  return {
    async loseAgents() {
      for (const node of io.errands.nodes()) if (isGone(io, node)) io.errands.loseNode(node, gone(io, node));

      const open = await io.store.openRuns();
      for (const id of stoppedAt.keys()) if (!open.some((run) => run.id === id)) stoppedAt.delete(id);
      for (const { id, stopReason } of open) {
        if (stopReason !== undefined && !stoppedAt.has(id)) stoppedAt.set(id, io.clock.monotonic());
      }
      for (const { run, share } of open.flatMap(runningShares)) {
        if (reasonToGiveUp(run, share) !== undefined) await giveUp(run.id, share.assignmentId);
      }
    },
  };

  async function giveUp(runId: string, assignmentId: string): Promise<void> {
    await io.change(async (change) => {
      // It may have come back between the look and this change.
      const run = await change.run(runId);
      const share = run?.sources.find((each) => each.assignmentId === assignmentId);
      if (run === undefined || share?.state !== 'running') return;
      const error = reasonToGiveUp(run, share);
      if (error === undefined) return;
      await endShare(change, io, run, { ...share, state: 'failed', givenUp: true, fault: toFault(error) });
    });
  }
}

function isGone(io: EngineIo, node: string): boolean {
  const heard = io.sessions.factsOf(node)?.lastHeard ?? io.listening.since;
  return io.clock.monotonic() - Math.max(heard, io.listening.since) > io.config.lease;
}

function gone(io: EngineIo, node: string): AppError {
  const text = `the agent of ${node} was not heard of for ${io.config.lease / 1000} s, and was given up`;
  const hint = `Start the agent of ${node}, or see its log for why it died; then run it again.`;
  return new AppError('UNAVAILABLE', text, { hint });
}
