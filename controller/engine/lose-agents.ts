/** An agent that stays away longer than the lease ends its shares as failed: nothing runs for ever. */
import { AppError, toFault } from '#common/errors.ts';
import { endShare } from './end-run.ts';
import type { EngineIo } from './engine-io.ts';
import { leaveToClear } from './hear.ts';

export async function loseAgents(io: EngineIo): Promise<void> {
  const gone = (node: string) => {
    const heard = io.sessions.factsOf(node)?.lastHeard ?? io.startedAt;
    return io.clock.monotonic() - Math.max(heard, io.startedAt) > io.config.lease;
  };
  const reason = (node: string) => `the agent of ${node} was not heard of for ${io.config.lease / 1000} s, and was given up`;
  for (const node of io.errands.nodes()) if (gone(node)) io.errands.loseNode(node, reason(node));

  const open = await io.store.openRuns();
  const lost = open.flatMap((run) =>
    run.sources.filter(({ state, node }) => state === 'running' && gone(node)).map((share) => ({ run, share })),
  );
  for (const { run, share } of lost) {
    await io.change(async (change) => {
      // It may have come back between the look and this change.
      const now = await change.run(run.id);
      const still = now?.sources.find(({ assignmentId }) => assignmentId === share.assignmentId);
      if (now === undefined || still?.state !== 'running' || !gone(share.node)) return;
      const error = new AppError('UNAVAILABLE', reason(share.node), {
        hint: `Start the agent of ${share.node}, or see its log for why it died; then run it again.`,
      });
      if (now.kind === 'backup') await leaveToClear(change, io, now, still);
      await endShare(change, io, now, { ...still, state: 'failed', fault: toFault(error) });
      const given = { assignmentId: share.assignmentId, reason: error.message };
      change.after(() => io.sessions.send(share.node, { $case: 'cancel', value: given }));
    });
  }
}
