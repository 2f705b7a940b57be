/**
 * When a task starts by itself. A due time is used once or passed over, and what was passed over is told. Periods are durations, so
 * that daylight saving does not touch them; a calendar lives in a zone and defines what a gap and an overlap do.
 */
import type { Limits } from './limits.ts';

export type Schedule =
  | { readonly kind: 'manual' }
  | { readonly kind: 'periodic'; readonly startMs: number; readonly periodMs: number }
  | { readonly kind: 'calendar'; readonly cron: string; readonly zone: string };

/** The first time of a calendar after another; undefined when there is none. */
export type Calendar = (schedule: Schedule & { readonly kind: 'calendar' }, afterMs: number) => number | undefined;

/** What becomes of a start that was missed by more than the tolerance: moved to the next period, or made up for once. */
export type WhenLate = 'postpone' | 'run-once';

export interface ScheduledTask {
  readonly schedule: Schedule;
  readonly whenLate: WhenLate;
  readonly locked: boolean;
  readonly nextStartMs: number | undefined;
  readonly lastStartedMs: number | undefined;
  /** Since the last start, by a clock that does not jump; undefined when nobody measured. */
  readonly elapsedMs: number | undefined;
  /** A run of it waits or runs. */
  readonly open: boolean;
}

export type SkipReason = 'late' | 'open' | 'too-soon';

export type ScheduleDecision =
  | { readonly kind: 'wait' }
  | { readonly kind: 'start'; readonly due: number; readonly next: number | undefined }
  | {
      readonly kind: 'skip';
      readonly due: number;
      readonly next: number | undefined;
      readonly reason: SkipReason;
      readonly text: string;
    }
  /** Nothing was missed: the clock was set back, and the next start comes sooner than the one that was noted. */
  | { readonly kind: 'move'; readonly next: number };

/** The first due time after `now`; undefined when there is none. Locking, unlocking and modifying never make a past one due. */
export function nextStart(task: Pick<ScheduledTask, 'schedule' | 'locked'>, now: number, calendar: Calendar): number | undefined {
  return task.locked ? undefined : firstAfter(task.schedule, now, calendar);
}

/**
 * The start of a periodic task that has none of its own: one period from now, and every period before and after. It lies in the first
 * period there ever was, so that a clock that was wrong then, and is set back, does not put the task off until it is caught up with.
 */
export function anchorNow(now: number, periodMs: number): number {
  return now % periodMs;
}

export function scheduleOf(task: ScheduledTask, now: number, limits: Limits, calendar: Calendar): ScheduleDecision {
  const due = task.nextStartMs;
  if (task.locked || due === undefined) return { kind: 'wait' };
  const next = firstAfter(task.schedule, now, calendar);
  if (now < due) {
    // Only a clock set back makes the next due time sooner than the one noted. A small step back repeats nothing.
    const setBack = next !== undefined && next < due && next - now > limits.latestStartMs;
    return setBack ? { kind: 'move', next } : { kind: 'wait' };
  }
  const skip = (reason: SkipReason, text: string): ScheduleDecision => ({ kind: 'skip', due, next, reason, text });
  if (task.open) return skip('open', 'its last run has not ended');
  const gap = sinceLastStart(task, now);
  if (gap !== undefined && gap <= limits.shortestGapMs) {
    return skip(
      'too-soon',
      `its last run started ${seconds(gap)} s ago, and more than ${seconds(limits.shortestGapMs)} s are required`,
    );
  }
  // A later due time may be in time although the noted one is not.
  const recent = firstAfter(task.schedule, now - limits.latestStartMs - 1, calendar);
  if (recent !== undefined && recent <= now) return { kind: 'start', due: recent, next };
  if (now - due <= limits.latestStartMs || task.whenLate === 'run-once') return { kind: 'start', due, next };
  return skip('late', `its start is ${seconds(now - due)} s late, and ${seconds(limits.latestStartMs)} s are allowed`);
}

function firstAfter(schedule: Schedule, afterMs: number, calendar: Calendar): number | undefined {
  switch (schedule.kind) {
    case 'manual':
      return undefined;
    case 'calendar':
      return calendar(schedule, afterMs);
    case 'periodic': {
      const { startMs, periodMs } = schedule;
      if (startMs > afterMs) return startMs;
      return startMs + (Math.floor((afterMs - startMs) / periodMs) + 1) * periodMs;
    }
  }
}

/** A wall clock that was set back makes the last start lie in the future, and one set forward makes it old: the steady clock knows better. */
function sinceLastStart({ lastStartedMs, elapsedMs }: ScheduledTask, now: number): number | undefined {
  if (elapsedMs !== undefined) return elapsedMs;
  return lastStartedMs === undefined || lastStartedMs > now ? undefined : now - lastStartedMs;
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
