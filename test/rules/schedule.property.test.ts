/**
 * What holds of the schedule whatever the clock does. A history is a task and a sequence of moves of the clock: it runs, stands still,
 * jumps forward, goes back. 100,000 histories; fast-check prints the shrunk one that breaks a rule, and its seed.
 *
 * Broken on purpose in schedule.ts: `10 * limits.latestStartMs` for what is late: expected 120001 to be at most 120000; sinceLastStart
 * without elapsedMs: expected 94720 to be more than 120000; `wait` for a clock that was set back: a start put off beyond its period.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../controller/rules/limits.ts';
import { nextStart, scheduleOf } from '../../controller/rules/schedule.ts';
import type { ScheduledTask } from '../../controller/rules/schedule.ts';

const RUNS = Number(process.env['HOLDFAST_HISTORIES'] ?? 100_000);
const { latestStartMs, shortestGapMs } = DEFAULT_LIMITS;
const noCalendar = () => undefined;

type Move =
  /** Real time passes, and the wall clock with it. */
  | { readonly kind: 'pass'; readonly ms: number }
  /** The wall clock is set, back or forward. */
  | { readonly kind: 'jump'; readonly ms: number }
  | { readonly kind: 'lock' }
  | { readonly kind: 'unlock' }
  /** The run that is open ends. */
  | { readonly kind: 'end' }
  /** The controller starts again: the steady clock of before is gone. */
  | { readonly kind: 'restart' };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: 0, max: 9_000_000 })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('jump' as const),
      ms: fc.oneof(fc.integer({ min: -200_000, max: 200_000 }), fc.integer({ min: -9_000_000, max: 9_000_000 })),
    }),
  },
  fc.constant({ kind: 'lock' } as const),
  fc.constant({ kind: 'unlock' } as const),
  { weight: 3, arbitrary: fc.constant({ kind: 'end' } as const) },
  fc.constant({ kind: 'restart' } as const),
);

const history = fc.record({
  periodMs: fc.integer({ min: shortestGapMs + 1, max: 4_000_000 }),
  startMs: fc.integer({ min: 0, max: 20_000_000 }),
  whenLate: fc.constantFrom('postpone' as const, 'run-once' as const),
  moves: fc.array(move, { minLength: 1, maxLength: 25 }),
});

test('in every history of clocks that jump, repeat and go back the rules of the schedule hold', () => {
  fc.assert(
    fc.property(history, ({ periodMs, startMs, whenLate, moves }) => {
      const schedule = { kind: 'periodic', startMs, periodMs } as const;
      // Wall and steady time apart, so that both can be asked what truly passed.
      let [wall, steady] = [10_000_000, 0];
      let task: ScheduledTask = {
        schedule,
        whenLate,
        locked: false,
        nextStartMs: undefined,
        lastStartedMs: undefined,
        elapsedMs: undefined,
        open: false,
      };
      task = { ...task, nextStartMs: nextStart(task, wall, noCalendar) };
      let lastStart: { steady: number; measured: boolean } | undefined;
      let furthestBack = Number.POSITIVE_INFINITY;
      const used = new Set<number>();

      for (const each of moves) {
        if (each.kind === 'pass') [wall, steady] = [wall + each.ms, steady + each.ms];
        if (each.kind === 'jump') {
          wall = Math.max(0, wall + each.ms);
          if (each.ms < 0) furthestBack = Math.min(furthestBack, wall);
        }
        if (each.kind === 'lock') task = { ...task, locked: true, nextStartMs: undefined };
        if (each.kind === 'unlock')
          task = { ...task, locked: false, nextStartMs: nextStart({ ...task, locked: false }, wall, noCalendar) };
        if (each.kind === 'end') task = { ...task, open: false };
        if (each.kind === 'restart' && lastStart !== undefined) lastStart = { ...lastStart, measured: false };
        task = { ...task, elapsedMs: lastStart?.measured === true ? steady - lastStart.steady : undefined };

        const decision = scheduleOf(task, wall, DEFAULT_LIMITS, noCalendar);
        if (task.locked) expect(decision.kind).toBe('wait');
        if (decision.kind === 'wait') {
          // Nothing is put off for ever: the next start is within a period, or will be when the tolerance has passed.
          if (!task.locked && startMs <= wall) {
            const soon = (nextStart(task, wall, noCalendar) ?? 0) - wall <= latestStartMs;
            if (!soon) expect((task.nextStartMs ?? 0) - wall).toBeLessThanOrEqual(periodMs);
          }
          continue;
        }
        // What is decided moves on, always.
        if (decision.kind !== 'move') expect(decision.next).toBeGreaterThan(wall);
        if (decision.kind === 'start') {
          expect(task.open).toBe(false);
          // Never for a time to come; never late unless the task asks for it.
          expect(decision.due).toBeLessThanOrEqual(wall);
          if (whenLate === 'postpone') expect(wall - decision.due).toBeLessThanOrEqual(latestStartMs);
          // Never within 120 s of the last, by the clock that does not lie.
          if (lastStart?.measured === true) expect(steady - lastStart.steady).toBeGreaterThan(shortestGapMs);
          // A due time comes twice only when the clock was set back before it.
          if (used.has(decision.due)) expect(furthestBack).toBeLessThan(decision.due);
          used.add(decision.due);
          task = { ...task, lastStartedMs: wall, open: true };
          lastStart = { steady, measured: true };
        }
        task = { ...task, nextStartMs: decision.next };
      }
    }),
    { numRuns: RUNS },
  );
}, 300_000);
