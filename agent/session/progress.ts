/** Progress of assignments as messages: at most one a second each, the latest wins, with the rate over the last seconds. */
import type { Clock } from '#common/clock.ts';
import type { ProgressReport } from '#common/gen/holdfast/v1/agent.ts';
import type { Job } from '../run/job.ts';

const EVERY_MS = 1000;
/** Weight of the newest second in the rate: about five seconds of memory. */
const SMOOTHING = 0.2;

interface Last {
  phase: string;
  atMs: number;
  bytes: bigint;
  /** Bytes per second; undefined until two reports of one phase are known. */
  rate: number | undefined;
}

export interface ProgressReporter {
  report(job: Job, phase: string, doneBytes: bigint, totalBytes: bigint | undefined): void;
  forget(assignmentId: string): void;
}

export function createProgressReporter(clock: Clock, send: (report: ProgressReport) => void): ProgressReporter {
  const last = new Map<string, Last>();
  return {
    report(job, phase, doneBytes, totalBytes) {
      const atMs = clock.monotonic();
      const before = last.get(job.assignmentId);
      const samePhase = before?.phase === phase ? before : undefined;
      if (samePhase !== undefined && atMs - samePhase.atMs < EVERY_MS) return;
      const rate = samePhase === undefined ? undefined : smoothedRate(samePhase, atMs, doneBytes);
      last.set(job.assignmentId, { phase, atMs, bytes: doneBytes, rate });
      send({
        assignmentId: job.assignmentId,
        attempt: job.attempt,
        progress: {
          phase,
          doneBytes,
          totalBytes: totalBytes ?? 0n,
          bytesPerSecond: BigInt(Math.round(rate ?? 0)),
          estimatedEndMs: estimatedEnd(clock.now(), doneBytes, totalBytes, rate),
        },
      });
    },
    forget: (assignmentId) => void last.delete(assignmentId),
  };
}

function smoothedRate(before: Last, atMs: number, bytes: bigint): number {
  const latest = Math.max(0, Number(bytes - before.bytes) / ((atMs - before.atMs) / 1000));
  return before.rate === undefined ? latest : before.rate + SMOOTHING * (latest - before.rate);
}

function estimatedEnd(nowMs: number, done: bigint, total: bigint | undefined, rate: number | undefined): bigint {
  if (total === undefined || rate === undefined || rate <= 0 || total < done) return 0n;
  return BigInt(Math.round(nowMs + (Number(total - done) / rate) * 1000));
}
