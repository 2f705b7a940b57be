/** Alarms about how things stand: each a question asked again and again, answered with why it is up, or that it is not. */
import type { Calendar, Schedule } from './schedule.ts';

/** Why the alarm is up; undefined: it is not. */
export type Condition = string | undefined;

export interface WatchedTask {
  readonly schedule: Schedule;
  readonly createdMs: number;
  readonly locked: boolean;
  readonly lockedMs: number | undefined;
  /** When the newest whole set was made. */
  readonly newestGoodMs: number | undefined;
  /** How old the newest good set may become; undefined: two periods, or twice the longest gap of a calendar. */
  readonly wantedAgeMs: number | undefined;
}

/** A task that runs by itself has had time for a run, and there is not one good set. */
export function neverRan(task: WatchedTask, now: number, calendar: Calendar): Condition {
  if (task.newestGoodMs !== undefined) return undefined;
  const allowed = allowedAge(task, task.createdMs, now, calendar);
  if (allowed === undefined || now - task.createdMs <= allowed) return undefined;
  return `no run of it has succeeded since it was made ${duration(now - task.createdMs)} ago`;
}

/** The recovery point is older than wanted: also when the task is locked, or its runs were skipped, for the data age all the same. */
export function overdue(task: WatchedTask, now: number, calendar: Calendar): Condition {
  if (task.newestGoodMs === undefined) return undefined;
  const allowed = allowedAge(task, task.newestGoodMs, now, calendar);
  if (allowed === undefined || now - task.newestGoodMs <= allowed) return undefined;
  return `its newest good set is ${duration(now - task.newestGoodMs)} old, and ${duration(allowed)} are allowed`;
}

export function pausedTooLong(task: WatchedTask, now: number, allowedMs: number): Condition {
  if (!task.locked || task.lockedMs === undefined || now - task.lockedMs <= allowedMs) return undefined;
  return `it has been locked for ${duration(now - task.lockedMs)}, and does not run by itself`;
}

/** Of what is as old as `sinceMs`; undefined: any, for the task starts by hand only. */
function allowedAge(
  { wantedAgeMs, schedule }: WatchedTask,
  sinceMs: number,
  now: number,
  calendar: Calendar,
): number | undefined {
  if (wantedAgeMs !== undefined) return wantedAgeMs;
  switch (schedule.kind) {
    case 'manual':
      return undefined;
    case 'periodic':
      return 2 * schedule.periodMs;
    case 'calendar':
      return twiceTheLongestGap((afterMs) => calendar(schedule, afterMs), sinceMs, now);
  }
}

/** Enough to find the night or the weekend behind the starts of a working day, or they follow at once. */
const STARTS_LOOKED_AT = 10;

/**
 * Among the starts that follow `sinceMs`: counted from there and not from now, the gap that the data must live through is always one of them.
 * Ends as soon as all is well, for a calendar takes long to ask.
 */
function twiceTheLongestGap(
  startAfter: (afterMs: number) => number | undefined,
  sinceMs: number,
  now: number,
): number | undefined {
  let allowed: number | undefined;
  let last = sinceMs;
  for (let n = 0; n < STARTS_LOOKED_AT && (allowed ?? 0) < now - sinceMs; n++) {
    const next = startAfter(last);
    if (next === undefined) break;
    allowed = Math.max(allowed ?? 0, 2 * (next - last));
    last = next;
  }
  return allowed;
}

export interface SpaceSample {
  readonly timeMs: number;
  readonly usedBytes: bigint;
}

/**
 * When a vault would be full, as far as its growth over the samples tells: a straight line through them by least squares.
 * Undefined when it does not grow, or when the samples span less than `leastSpanMs`.
 */
export function fullAt(samples: readonly SpaceSample[], roomBytes: bigint, leastSpanMs: number): number | undefined {
  const [first, last] = [samples.at(0), samples.at(-1)];
  if (first === undefined || last === undefined || last.timeMs - first.timeMs < leastSpanMs) return undefined;
  const points = samples.map(({ timeMs, usedBytes }) => ({ x: timeMs - first.timeMs, y: Number(usedBytes - first.usedBytes) }));
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const slope = mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
  return slope > 0 ? last.timeMs + Number(roomBytes) / slope : undefined;
}

/** How full a vault was. */
export interface VaultSample {
  readonly timeMs: number;
  readonly freeBytes: bigint;
  /** By backup files alone; others may fill the partition too. */
  readonly usedBytes: bigint;
}

/** A vault now, and its limits. */
export interface VaultRoom {
  readonly freeBytes: bigint;
  readonly usedBytes: bigint;
  /** What must stay free on its partition. */
  readonly minimumFreeBytes: bigint;
  /** What all its backup files together may take; undefined: not known. */
  readonly capBytes: bigint | undefined;
}

/** Growth is told from a day of samples or more: what one run adds and retention takes back is none. */
const LEAST_SPAN_MS = 86_400_000;

/** When a vault takes nothing more: its partition by whatever fills that, or its cap by backups; the earlier. */
export function vaultFullAt(samples: readonly VaultSample[], vault: VaultRoom, now: number): number | undefined {
  const partition = vault.freeBytes - vault.minimumFreeBytes;
  const cap = vault.capBytes === undefined ? undefined : vault.capBytes - vault.usedBytes;
  if (partition <= 0n || (cap !== undefined && cap <= 0n)) return now;
  const filled = samples.map(({ timeMs, freeBytes }) => ({ timeMs, usedBytes: -freeBytes }));
  const ends = [
    fullAt(filled, partition, LEAST_SPAN_MS),
    cap === undefined ? undefined : fullAt(samples, cap, LEAST_SPAN_MS),
  ].filter((end) => end !== undefined);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

export function spaceRunningOut(fullAtMs: number | undefined, now: number, warnBeforeMs: number): Condition {
  if (fullAtMs === undefined || fullAtMs - now > warnBeforeMs) return undefined;
  return fullAtMs <= now ? 'it is full' : `at the growth of the last days it is full in ${duration(fullAtMs - now)}`;
}

export function certificateExpiring(endsMs: number, now: number, warnBeforeMs: number): Condition {
  if (endsMs - now > warnBeforeMs) return undefined;
  return endsMs <= now ? `it expired ${duration(now - endsMs)} ago` : `it expires in ${duration(endsMs - now)}`;
}

/** "3 days", "5 h", "90 s": one unit, rounded down, for people. */
function duration(ms: number): string {
  const [days, hours, minutes] = [86_400_000, 3_600_000, 60_000];
  if (ms >= 2 * days) return `${Math.floor(ms / days)} days`;
  if (ms >= 2 * hours) return `${Math.floor(ms / hours)} h`;
  if (ms >= 2 * minutes) return `${Math.floor(ms / minutes)} min`;
  return `${Math.floor(ms / 1000)} s`;
}
