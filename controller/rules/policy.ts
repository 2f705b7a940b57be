/**
 * Whether a source is backed up in full or as the difference to its last backup. Not asked yet: each source that there is takes FULL only
 * (task.ts). It waits for the first that can be backed up incrementally.
 */
export type Policy =
  | { readonly kind: 'full' }
  | { readonly kind: 'full-then-incremental' }
  /** A full one, then n - 1 incremental ones, and again. */
  | { readonly kind: 'full-every'; readonly n: number };

export interface BackupHistory {
  /** Good incremental backups since the last full one; undefined: there is no full one. */
  readonly sinceFull: number | undefined;
  /** The task's target is another than at the last backup. */
  readonly targetChanged: boolean;
  /** Why the last backup cannot be built on; undefined: it can. */
  readonly baseLost: string | undefined;
}

export type Level =
  | {
      readonly kind: 'full';
      readonly reason: string;
      /** It should have been incremental: to be said loudly. */ readonly forced: boolean;
    }
  | { readonly kind: 'incremental' };

export function levelOf(policy: Policy, history: BackupHistory): Level {
  const full = (reason: string, forced = false): Level => ({ kind: 'full', reason, forced });
  if (policy.kind === 'full') return full('the policy is a full backup every time');
  if (history.sinceFull === undefined) return full('there is no full backup yet');
  if (history.targetChanged) return full('the target has changed since the last backup');
  if (policy.kind === 'full-every' && history.sinceFull + 1 >= policy.n)
    return full(`the policy is a full backup once every ${policy.n} times`);
  if (history.baseLost !== undefined) return full(history.baseLost, true);
  return { kind: 'incremental' };
}
