/**
 * Which sets of a task stay, and why, each of them. A set stays for any one reason; it goes when there is none. Counts are of whole sets: one
 * that is incomplete, or not on the active management node, replaces nothing. But what was made with every source is protected like a
 * whole one wherever it lies: else a new active management node, whose vault is empty at first, would make an archive worth nothing. So is
 * what was found damaged since: a part of it can often be saved, and damage alone deletes nothing.
 */
export interface KeptSet {
  readonly id: string;
  readonly createdMs: number;
  /** The day, ISO week and month (UTC) it was made in: "2026-11-24", "2026-W48", "2026-11". */
  readonly unit: { readonly day: string; readonly week: string; readonly month: string };
  /** Every source is there, on the active management node at least: it replaces others. */
  readonly whole: boolean;
  /** Every source is there, in one vault or another: where it is not whole, it waits to be mirrored. */
  readonly good: boolean;
  /** A source failed when it was made. One that does not and is not good was found damaged in every vault since. */
  readonly lacksSource: boolean;
  /** Kept by hand; beside the copies, not one of them. */
  readonly pinned: boolean;
  /** Being verified or restored. */
  readonly reading: boolean;
  readonly deleting: boolean;
  /** Ids of the sets that an incremental one builds on. */
  readonly needs: readonly string[];
}

export interface RetentionPolicy {
  /** The newest so many; 1 or more. */
  readonly copies: number;
  /** Also every one that is younger. */
  readonly keepMs: number | undefined;
  /** Also the newest of each of the last so many days, ISO weeks, months (UTC) that have one. */
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

export interface Verdict {
  readonly id: string;
  readonly stays: boolean;
  /** Never empty. */
  readonly reasons: readonly string[];
}

/**
 * A verdict on every set, newest first. Sets come in the order they were made, which a clock that was wrong for a day has not mixed up;
 * those that are newest by their times count as well, for an import adds old sets last. `doubt`: why the clock is not trusted;
 * then nothing goes.
 */
export function retentionPlan(
  oldestFirst: readonly KeptSet[],
  policy: RetentionPolicy,
  now: number,
  doubt: string | undefined,
): readonly Verdict[] {
  const newestFirst = oldestFirst.toReversed();
  const alive = newestFirst.filter(({ deleting }) => !deleting);
  const reasons = new Map<string, string[]>();
  const keep = (id: string, reason: string) => void reasons.set(id, [...(reasons.get(id) ?? []), reason]);

  const whole = alive.filter((set) => set.whole);
  const good = alive.filter((set) => set.good);
  const made = alive.filter((set) => !set.lacksSource);
  const counted = whole.filter((set) => !set.pinned);
  const [newest] = good;
  if (newest !== undefined) keep(newest.id, 'the newest good set');
  const copies = Math.max(1, policy.copies);
  counted.slice(0, copies).forEach(({ id }, index) => keep(id, `copy ${index + 1} of ${policy.copies}`));
  for (const { id } of byTime(counted).slice(0, copies)) {
    if (!reasons.has(id)) keep(id, `by its time one of the ${policy.copies} newest`);
  }
  for (const { id, createdMs } of made) {
    if (policy.keepMs !== undefined && now - createdMs < policy.keepMs) keep(id, `younger than ${days(policy.keepMs)}`);
  }
  for (const [count, name] of [
    [policy.daily, 'day'],
    [policy.weekly, 'week'],
    [policy.monthly, 'month'],
  ] as const) {
    // Of each kind: a damaged set takes no slot from a good one, nor does one that waits to be mirrored, and may wait for ever, from a whole one.
    const slots = [made, good, whole].flatMap((sets) => newestOfEach(sets, name, count, now));
    for (const { id, unit } of new Set(slots)) keep(id, `the newest of the ${name} ${unit[name]}`);
  }
  for (const { id, pinned, reading } of alive) {
    if (pinned) keep(id, 'pinned');
    if (reading) keep(id, 'being read');
  }
  for (const [at, set] of alive.entries()) {
    if (set.whole) continue;
    const byOrder = alive.slice(0, at).filter((other) => other.whole && !other.pinned).length;
    const byTimes = counted.filter(({ createdMs }) => createdMs > set.createdMs).length;
    const newer = set.lacksSource ? byOrder : Math.min(byOrder, byTimes);
    if (newer < copies) keep(set.id, `${lack(set)}, with ${newer} newer whole sets of the ${copies} that would replace it`);
  }
  keepWhatIsNeeded(alive, reasons, keep);
  if (doubt !== undefined) for (const { id } of alive) keep(id, `nothing goes while the clock is in doubt: ${doubt}`);

  return newestFirst.map((set) => {
    const { id } = set;
    if (set.deleting) return { id, stays: false, reasons: ['being deleted'] };
    const why = reasons.get(id);
    if (why !== undefined) return { id, stays: true, reasons: why };
    const reason = set.whole
      ? `beyond the ${policy.copies} newest, and nothing else keeps it`
      : `${lack(set)}, and replaced by ${policy.copies} newer whole sets`;
    return { id, stays: false, reasons: [reason] };
  });
}

function lack({ good, lacksSource }: KeptSet): string {
  if (good) return 'not on the active management node yet';
  return lacksSource ? 'incomplete' : 'damaged in every vault';
}

/** Newest first. */
function byTime(sets: readonly KeptSet[]): KeptSet[] {
  return sets.toSorted((a, b) => b.createdMs - a.createdMs);
}

/** What stays needs all that it builds on, however far back. */
function keepWhatIsNeeded(
  alive: readonly KeptSet[],
  reasons: ReadonlyMap<string, unknown>,
  keep: (id: string, reason: string) => void,
) {
  const byId = new Map(alive.map((set) => [set.id, set]));
  const open = alive.filter(({ id }) => reasons.has(id));
  const seen = new Set<string>();
  for (let set = open.pop(); set !== undefined; set = open.pop()) {
    for (const needed of set.needs) {
      const base = byId.get(needed);
      if (base === undefined || seen.has(`${set.id} ${needed}`)) continue;
      seen.add(`${set.id} ${needed}`);
      keep(needed, `needed by ${set.id}`);
      open.push(base);
    }
  }
}

/**
 * The newest set of each of the last `count` days, weeks or months. What is dated in the future, by a clock that was wrong then, is kept
 * beside these until its time has come: among them it would take the place of all that was made at the right time.
 */
function newestOfEach(sets: readonly KeptSet[], name: keyof KeptSet['unit'], count: number, now: number): KeptSet[] {
  if (count === 0) return [];
  const newest = (some: readonly KeptSet[]) => [
    ...new Map(
      byTime(some)
        .toReversed()
        .map((set) => [set.unit[name], set]),
    ).values(),
  ];
  const past = newest(sets.filter(({ createdMs }) => createdMs <= now));
  return [...past.slice(-count), ...newest(sets.filter(({ createdMs }) => createdMs > now))];
}

const DAY_MS = 86_400_000;

function days(ms: number): string {
  return `${Math.round((ms / DAY_MS) * 10) / 10} days`;
}
