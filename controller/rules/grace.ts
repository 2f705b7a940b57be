/** Whether the bytes of a set that goes may follow its manifests. */
export interface Grace {
  readonly sinceMs: number;
  readonly graceMs: number;
  readonly now: number;
  readonly inDoubt: boolean;
}

/** *anew*: it began by a clock that was ahead, and would never end: it is counted from now. */
export function graceOf({ sinceMs, graceMs, now, inDoubt }: Grace): 'runs' | 'over' | 'anew' {
  // Without a period there is nothing to measure, and a clock does not matter.
  if (graceMs === 0) return 'over';
  // One that was set forward would end it at once.
  if (inDoubt) return 'runs';
  if (sinceMs > now) return 'anew';
  return now - sinceMs >= graceMs ? 'over' : 'runs';
}
