/**
 * What each agent is to do, made equal to what it knows: what it lacks is given to it, what nobody wants of it any more is
 * cancelled. Looked at anew at each tick, so neither a word that got lost nor the death of either side needs anything else. Only
 * this gives work out, so no agent is told twice on one line.
 */
import { toAppError, toFault } from '#common/errors.ts';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import type { Run, SourceRun } from '../model.ts';
import type { Queries } from '../store/store.ts';
import { assignBackup, assignRestore } from './assign.ts';
import { endShare, stopFault } from './end-run.ts';
import { agentsMayStillCome, note, standbyIsThere } from './engine-io.ts';
import type { EngineIo, Given } from './engine-io.ts';

export async function tellAgents(io: EngineIo): Promise<void> {
  const shares = (await io.store.openRuns()).flatMap(runningShares);
  for (const { node, connected } of io.sessions.facts()) {
    if (!connected) continue;
    const own = shares.filter(({ share }) => share.node === node);
    const errands = io.errands.ofNode(node);
    for (const id of io.sessions.knownTo(node)) {
      const share = own.find((each) => each.share.assignmentId === id);
      if (share?.run.stopReason !== undefined) io.sessions.cancel(node, id, share.run.stopReason);
      else if (share === undefined && !errands.some(({ assignmentId }) => assignmentId === id)) {
        io.sessions.cancel(node, id, 'nobody waits for it any more');
      }
    }
    for (const errand of errands) io.sessions.assign(node, errand);
    for (const { run, share } of own) if (!knows(io, share)) await giveOut(io, run.id, share.assignmentId);
  }
}

/** Everything that an agent has and that was given up: as long as it lasts, it may still touch its source. */
export function unwantedOf(io: EngineIo, node: string): string[] {
  const errands = io.errands.ofNode(node).map(({ assignmentId }) => assignmentId);
  return [...io.sessions.knownTo(node)].filter((id) => !errands.includes(id) && !io.given.has(id));
}

async function giveOut(io: EngineIo, runId: string, assignmentId: string): Promise<void> {
  await io.change(async (change) => {
    const run = await change.run(runId);
    const share = run?.sources.find((each) => each.assignmentId === assignmentId);
    if (run === undefined || share?.state !== 'running' || knows(io, share)) return;
    if (run.stopReason !== undefined) {
      // It never began, or its end is lost.
      return endShare(change, io, run, { ...share, state: 'stopped', fault: stopFault(run.stopReason) });
    }
    if (run.kind === 'backup' && !standbyIsThere(io) && agentsMayStillCome(io)) return;
    let assign: Assign;
    try {
      assign = await assignmentOf(change, io, run, share);
    } catch (caught) {
      const error = toAppError(caught, `give ${share.source} to the agent of ${share.node}`);
      if (error.code === 'UNAVAILABLE' && agentsMayStillCome(io)) return;
      return endShare(change, io, run, { ...share, state: 'failed', fault: toFault(error) });
    }
    const given = await givenOf(change, run, share);
    await note(change, io, run.id, share.source, 'info', `given to the agent of ${share.node}`);
    change.after(() => {
      io.given.set(assignmentId, given);
      io.sessions.assign(share.node, assign);
    });
  });
}

function knows(io: EngineIo, { node, assignmentId }: SourceRun): boolean {
  return io.sessions.knownTo(node).has(assignmentId);
}

export function runningShares(run: Run): { readonly run: Run; readonly share: SourceRun }[] {
  return run.sources.filter(({ state }) => state === 'running').map((share) => ({ run, share }));
}

async function assignmentOf(from: Queries, io: EngineIo, run: Run, share: SourceRun): Promise<Assign> {
  if (run.kind === 'backup') return assignBackup(io, run, share);
  return assignRestore(io, run, share, await from.restore(run.task), await from.set(run.setId));
}

export async function givenOf(from: Queries, run: Run, { source, node, attempt }: SourceRun): Promise<Given> {
  const given = { runId: run.id, source, node, attempt, lines: 0 };
  if (run.kind === 'restore') return { ...given, expectedBytes: 0n };
  const last = (await from.listSets(run.task, { size: 1, token: '' })).items[0];
  const before = last?.files.find((held) => held.file.source === source)?.file.contentBytes;
  return { ...given, expectedBytes: before ?? 0n };
}
