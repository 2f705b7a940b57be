/**
 * Every number of the rules, once: what it means and where it comes from. Each is a setting (`limits:` in controller.yaml); the
 * documented ones are those of the product that Holdfast is modelled on, 2018 to 2025.
 */
export interface Limits {
  /** Runs at one time in the cluster. Runs that share a data source never run together, whatever this says. Documented: 1. */
  readonly concurrentRuns: number;
  /** Runs that may wait. Documented: 199. */
  readonly waitingRuns: number;
  /** Tasks of each kind (backup, restore). Documented: 100. */
  readonly tasksOfEachKind: number;
  /** An automatic run needs more than this since the task's previous run. Documented: 120 s. */
  readonly shortestGapMs: number;
  /** An automatic run later than this moves to the next period. Documented: 120 s. */
  readonly latestStartMs: number;
  /** More than this must be free in the LocalBackup partition of the active management node. Documented: 20 GB. */
  readonly minimumFreeBytes: bigint;
  /** Clocks that differ by more are in doubt, and nothing is deleted meanwhile. Ours: 5 minutes. */
  readonly clockToleranceMs: number;
  /** A clock that jumped is trusted after this where no vault on another machine could confirm it. Ours: a day. */
  readonly clockSettlesMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  concurrentRuns: 1,
  waitingRuns: 199,
  tasksOfEachKind: 100,
  shortestGapMs: 120_000,
  latestStartMs: 120_000,
  minimumFreeBytes: 20_000_000_000n,
  clockToleranceMs: 300_000,
  clockSettlesMs: 86_400_000,
};
