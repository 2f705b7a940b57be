/** When a periodic task starts by itself. A due time is used once or passed over; it is never caught up with. */
import { SHORTEST_GAP_MS } from './task.ts';

export interface ScheduledTask {
  readonly schedule:
    | { readonly kind: 'manual' }
    | { readonly kind: 'periodic'; readonly startMs: number; readonly periodMs: number };
  readonly locked: boolean;
  readonly nextStartMs: number | undefined;
  readonly lastStartedMs: number | undefined;
  /** A run of it waits or runs. */
  readonly open: boolean;
}

export type ScheduleDecision =
  | { readonly kind: 'wait' }
  | { readonly kind: 'start'; readonly next: number }
  | { readonly kind: 'skip'; readonly reason: string; readonly next: number };

/** Rule: an automatic run whose start time is more than 120 s in the past moves to the next period. Documented. */
const MAX_LATENESS_MS = 120_000;

/** The first due time that is after `now`; undefined when there is none. */
export function nextStart(task: Pick<ScheduledTask, 'schedule' | 'locked'>, now: number): number | undefined {
  if (task.schedule.kind === 'manual' || task.locked) return undefined;
  const { startMs, periodMs } = task.schedule;
  if (startMs > now) return startMs;
  return startMs + (Math.floor((now - startMs) / periodMs) + 1) * periodMs;
}

export function scheduleOf(task: ScheduledTask, now: number): ScheduleDecision {
  const due = task.nextStartMs;
  const next = nextStart(task, now);
  if (due === undefined || next === undefined || task.schedule.kind === 'manual') return { kind: 'wait' };
  // Made when the clock was ahead by more than a period. By less it just waits: that due time may have been used already.
  if (due - next > task.schedule.periodMs) return { kind: 'skip', reason: 'the clock was set back', next };
  if (now < due) return { kind: 'wait' };
  if (now - due > MAX_LATENESS_MS) {
    return { kind: 'skip', reason: `its start is ${Math.round((now - due) / 1000)} s late, more than 120 s`, next };
  }
  if (task.open) return { kind: 'skip', reason: 'its last run has not ended', next };
  // A clock that was set back must not hold the task for ever: only a last start in the past counts.
  if (task.lastStartedMs !== undefined && task.lastStartedMs <= now && now - task.lastStartedMs <= SHORTEST_GAP_MS) {
    return { kind: 'skip', reason: 'its last run started no more than 120 s ago', next };
  }
  return { kind: 'start', next };
}
