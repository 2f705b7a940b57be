import { expect, test } from 'vitest';
import { createPace } from '../../agent/archive/point/pace.ts';
import { never } from '../vault/test-vault.ts';

/** Time passes only when somebody sleeps. */
function sleepyClock(late = 0) {
  let ms = 0;
  return {
    machine: '',
    now: () => ms,
    monotonic: () => ms,
    sleep: async (more: number) => void (ms += more + late),
  };
}

test('bytes pass at the rate that is allowed, also when timers come late', async () => {
  for (const late of [0, 5]) {
    const clock = sleepyClock(late);
    const pace = createPace(1_000_000n, clock);
    for (let i = 0; i < 1000; i++) await pace.pass(10_000, never);
    expect(clock.now()).toBeGreaterThanOrEqual(9_800);
    expect(clock.now()).toBeLessThanOrEqual(10_100);
  }
});

test('what was not used is not saved up', async () => {
  const clock = sleepyClock();
  const pace = createPace(1_000_000n, clock);
  await clock.sleep(60_000);
  for (let i = 0; i < 100; i++) await pace.pass(10_000, never);
  expect(clock.now() - 60_000).toBeGreaterThanOrEqual(850);
});

test('without a rate nothing waits', async () => {
  const clock = sleepyClock();
  await createPace(undefined, clock).pass(1_000_000_000, never);
  expect(clock.now()).toBe(0);
});
