/**
 * The only module that reads the clock or sets timers (linted), so that tests can put a clock of their own in its place.
 * Inside: epoch milliseconds. On disk: `yyyyMMddHHmmss` in UTC. At the edges: RFC 3339.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** The kernel that keeps it. Two that say the same are one clock, right or wrong. Empty: not known. */
  readonly machine: string;
  /** Epoch milliseconds. May jump. */
  now(): number;
  /** Milliseconds that never go back, for durations. */
  monotonic(): number;
  /** Rejects with the signal's reason when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  machine: bootId(),
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal });
  },
};

/** Containers on one machine have it in common, as they have the clock. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** Aborts after `ms`, or when `signal` does. */
export function withTimeout(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

/** `20261124093000`, in UTC: how times stand in names on disk. */
export function diskTime(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-T:]/g, '');
}

/** `2026-11-24T09:30:00Z` */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.000Z$/, 'Z');
}

/** The day, the ISO week and the month that a time lies in, in UTC: "2026-11-24", "2026-W48", "2026-11". */
export function dateUnits(ms: number): { day: string; week: string; month: string } {
  const day = new Date(ms).toISOString().slice(0, 10);
  // An ISO week is that of its Thursday, and the first of a year is that of its first Thursday.
  const thursday = new Date(ms);
  thursday.setUTCDate(thursday.getUTCDate() + 3 - ((thursday.getUTCDay() + 6) % 7));
  const year = thursday.getUTCFullYear();
  const number = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * 86_400_000));
  return { day, week: `${year}-W${String(number).padStart(2, '0')}`, month: day.slice(0, 7) };
}

/** For libraries that ask for one. */
export function dateOf(ms: number): Date {
  return new Date(ms);
}
