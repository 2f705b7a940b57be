/** Whether the controller's clock can be trusted enough to delete by age and order. */
import type { Limits } from './limits.ts';

export interface ClockEvidence {
  readonly now: number;
  /** The latest time that the catalogue has written down. */
  readonly latestRecordedMs: number | undefined;
  /**
   * Of each node that holds a vault and is connected: how far its clock was ahead of the controller's when it was last heard, and
   * whether that was after the last jump.
   */
  readonly vaults: readonly { readonly node: string; readonly aheadMs: number; readonly sinceJump: boolean }[];
  /** How far the clock has moved against the steady one since the controller began, in steps larger than the tolerance; 0: it kept pace. */
  readonly jumpedMs: number;
}

/** Why nothing may be deleted now; undefined: the clock is trusted. */
export function clockDoubt(evidence: ClockEvidence, limits: Pick<Limits, 'clockToleranceMs'>): string | undefined {
  const { now, latestRecordedMs, vaults, jumpedMs } = evidence;
  const tolerance = limits.clockToleranceMs;
  if (latestRecordedMs !== undefined && latestRecordedMs - now > tolerance) {
    return `the catalogue knows a time ${seconds(latestRecordedMs - now)} s in the future: the clock was set back`;
  }
  const differing = vaults.find(({ aheadMs }) => Math.abs(aheadMs) > tolerance);
  if (differing !== undefined) {
    return `the clock of ${differing.node} differs from the controller's by ${seconds(Math.abs(differing.aheadMs))} s`;
  }
  if (Math.abs(jumpedMs) > tolerance && !vaults.some(({ sinceJump }) => sinceJump)) {
    return `the clock has jumped by ${seconds(jumpedMs)} s, and no vault has confirmed it yet`;
  }
  return undefined;
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
