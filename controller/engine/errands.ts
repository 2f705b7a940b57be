/**
 * Work that somebody waits for, or that follows from the catalogue and is done again when it got lost: plans, verifications,
 * deletions, copies. Kept in memory only; told to the agents with everything else that they are to do (tell-agents.ts).
 */
import type { Clock } from '#common/clock.ts';
import { AppError, fromFault } from '#common/errors.ts';
import type { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';

type Outcome = NonNullable<Finished['outcome']>;
type Work = NonNullable<Assign['work']>;

interface Errand {
  readonly node: string;
  readonly assign: Assign;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: AppError) => void;
}

export interface Errands {
  /** @throws AppError what the agent says of its failure; UNAVAILABLE when it stays away or goes; TIMEOUT. */
  ask(of: { node: string; id: string; runId: string; attempt: number; work: Work; timeoutMs?: number }): Promise<Outcome>;
  /** Whether it was one of these. */
  finish(node: string, finished: Finished): boolean;
  ofNode(node: string): readonly Assign[];
  nodes(): readonly string[];
  loseNode(node: string, why: AppError): void;
  /** Nobody waits any more. */
  stop(why: AppError): void;
}

export function createErrands(clock: Clock, hint: () => void): Errands {
  const open = new Map<string, Errand>();
  let stopped: AppError | undefined;

  async function giveUpAfter(timeoutMs: number, id: string, node: string, answered: AbortSignal): Promise<void> {
    await clock.sleep(timeoutMs, answered).catch(() => undefined);
    if (answered.aborted) return;
    open.get(id)?.reject(new AppError('TIMEOUT', `the agent of ${node} did not answer within ${timeoutMs / 1000} s`));
  }

  return {
    async ask({ node, id, runId, attempt, work, timeoutMs }) {
      if (stopped !== undefined) throw stopped;
      const assign: Assign = { assignmentId: id, runId, attempt, work };
      const answered = new AbortController();
      const answer = new Promise<Outcome>((resolve, reject) => {
        open.set(id, { node, assign, resolve, reject });
      });
      hint();
      if (timeoutMs !== undefined) {
        void giveUpAfter(timeoutMs, id, node, answered.signal);
      }
      try {
        const outcome = await answer;
        if (outcome.$case === 'failed' || outcome.$case === 'stopped' || outcome.$case === 'unknownState') {
          throw fromFault(outcome.value);
        }
        return outcome;
      } finally {
        answered.abort();
        open.delete(id);
        // What is not wanted any more is cancelled at the next look.
        hint();
      }
    },
    finish(node, { assignmentId, outcome }) {
      const errand = open.get(assignmentId);
      if (errand === undefined || errand.node !== node) return false;
      open.delete(assignmentId);
      if (outcome === undefined) errand.reject(new AppError('FAILED', `the agent of ${node} ended its work in an unknown way`));
      else errand.resolve(outcome);
      return true;
    },
    ofNode: (node) => [...open.values()].filter((errand) => errand.node === node).map(({ assign }) => assign),
    nodes: () => [...new Set([...open.values()].map(({ node }) => node))],
    loseNode(node, why) {
      for (const errand of open.values()) if (errand.node === node) errand.reject(why);
    },
    stop(why) {
      stopped = why;
      for (const errand of open.values()) errand.reject(why);
    },
  };
}
