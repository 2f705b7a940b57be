/** Whether the controller's clock can be trusted enough to delete by age and order. */
import type { Limits } from './limits.ts';

export interface ClockEvidence {
  readonly now: number;
  /** The latest time that the newest records of the catalogue bear. */
  readonly latestRecordedMs: number | undefined;
  /** Of each node that holds a vault and is connected: how far its clock was ahead of the controller's when it was last heard. */
  readonly vaults: readonly { readonly node: string; readonly aheadMs: number }[];
  /** How far the clock last moved against the steady one in one step, and how long ago that is by the steady one; 0: it kept pace. */
  readonly jumpedMs: number;
  readonly sinceJumpMs: number;
  /** *confirmed*: a vault with another clock was heard since. *possible*: there may be one. *nobody*: every vault has the controller's own clock. */
  readonly confirmation: 'confirmed' | 'possible' | 'nobody';
}

/** Why nothing may be deleted now; undefined: the clock is trusted. */
export function clockDoubt(
  evidence: ClockEvidence,
  limits: Pick<Limits, 'clockToleranceMs' | 'clockSettlesMs'>,
): string | undefined {
  const { now, latestRecordedMs, vaults, jumpedMs, sinceJumpMs, confirmation } = evidence;
  const tolerance = limits.clockToleranceMs;
  if (latestRecordedMs !== undefined && latestRecordedMs - now > tolerance) {
    return `the catalogue knows a time ${seconds(latestRecordedMs - now)} s in the future: the clock was set back`;
  }
  const differing = vaults.find(({ aheadMs }) => Math.abs(aheadMs) > tolerance);
  if (differing !== undefined) {
    return `the clock of ${differing.node} differs from the controller's by ${seconds(Math.abs(differing.aheadMs))} s`;
  }
  if (Math.abs(jumpedMs) <= tolerance || confirmation === 'confirmed') return undefined;
  const jumped = `the clock has jumped by ${seconds(jumpedMs)} s`;
  if (confirmation === 'possible') return `${jumped}, and no vault on another machine has confirmed it yet`;
  if (sinceJumpMs >= limits.clockSettlesMs) return undefined;
  return `${jumped}, and no vault is on another machine: it is trusted ${seconds(limits.clockSettlesMs)} s after that`;
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
