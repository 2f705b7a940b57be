import { expect, test } from 'vitest';
import { applyOptions, emptySpec } from '../../controller/cli/task-spec.ts';
import { AT } from './samples.ts';

const NOW = Number(AT);
const hours = (n: number) => BigInt(n) * 3_600_000n;

/** When a daily task, whose first start is so many hours away, starts after it was given another period. */
function startAfter(away: number, every: string, more: Record<string, string> = {}): bigint {
  const mode = { $case: 'periodic' as const, value: { startMs: AT + hours(away), periodSeconds: 86_400n } };
  const modified = applyOptions({ ...emptySpec('nightly'), mode }, { every, ...more }, NOW).mode;
  return modified?.$case === 'periodic' ? modified.value.startMs - AT : expect.unreachable();
}

test.each([
  ['24 h away, every hour, starts within the hour', 24, '1h', hours(1)],
  ['16 h away, every 12 h, starts 4 h from now: the old time stays one of them', 16, '12h', hours(4)],
  ['1 h away, every 6 h, keeps its start', 1, '6h', hours(1)],
  ['24 h away, every 7 days, keeps its start', 24, '7d', hours(24)],
  ['that began long ago keeps its time of the day', -100, '6h', hours(-100)],
  ['set for a later day keeps that day', 240, '1h', hours(240)],
])('a daily task %s', (_what, away, every, expected) => {
  expect(startAfter(away, every)).toBe(expected);
});

test('a start that is given is taken as it is', () => {
  expect(startAfter(24, '1h', { start: '2026-11-25T09:30:00Z' })).toBe(hours(24));
});

test('a period of nothing is left to the controller to refuse', () => {
  expect(startAfter(24, '0s')).toBe(hours(24));
});
