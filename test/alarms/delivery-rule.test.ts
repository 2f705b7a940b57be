import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DELIVERY_LIMITS, afterFailure, nextDelivery } from '#rules/delivery.ts';
import type { DeliveryLimits, FailureKind, WaitingDelivery } from '#rules/delivery.ts';

const NOW = 1_800_000_000_000;
const limits: DeliveryLimits = { firstPauseMs: 10, longestPauseMs: 80, giveUpAfterMs: 300 };

const waiting = (noticeId: string, change: Partial<WaitingDelivery> = {}): WaitingDelivery => ({
  noticeId,
  about: noticeId,
  attempts: 0,
  pausedMs: 0,
  nextMs: NOW,
  ...change,
});

describe('what a channel sends next', () => {
  const cases: [string, WaitingDelivery[], string | number | undefined][] = [
    ['is nothing when nothing waits', [], undefined],
    ['is what waits', [waiting('a')], 'a'],
    ['is the oldest of those that are due alike', [waiting('a'), waiting('b')], 'a'],
    ['is what has been due the longest', [waiting('a', { nextMs: NOW - 1 }), waiting('b', { nextMs: NOW - 2 })], 'b'],
    ['is not held up by a notice that pauses', [waiting('a', { nextMs: NOW + 50 }), waiting('b')], 'b'],
    ['comes when the soonest is due', [waiting('a', { nextMs: NOW + 50 }), waiting('b', { nextMs: NOW + 20 })], 20],
    [
      'is never the clearing of an alarm whose raising still waits',
      [waiting('a', { about: 'x', nextMs: NOW + 50 }), waiting('b', { about: 'x' })],
      50,
    ],
    ['is due when its time was written before the clock was set back', [waiting('a', { nextMs: NOW + 3_600_000 })], 'a'],
  ];
  test.each(cases)('%s', (_, queue, expected) => {
    const next = nextDelivery(queue, NOW, limits);
    if (expected === undefined) expect(next).toEqual({ kind: 'nothing' });
    else if (typeof expected === 'number') expect(next).toEqual({ kind: 'wait', ms: expected });
    else expect(next).toMatchObject({ kind: 'send', delivery: { noticeId: expected } });
  });

  test('is something, whatever waits and whatever the clock says', () => {
    const delivery = fc.record({
      noticeId: fc.string(),
      about: fc.constantFrom('x', 'y', 'z'),
      attempts: fc.nat(100),
      pausedMs: fc.nat(1000),
      nextMs: fc.integer(),
    });
    fc.assert(
      fc.property(fc.array(delivery, { minLength: 1 }), fc.integer(), (queue, now) => {
        const next = nextDelivery(queue, now, limits);
        expect(next.kind).not.toBe('nothing');
        if (next.kind === 'wait') {
          expect(next.ms).toBeGreaterThan(0);
          expect(next.ms).toBeLessThanOrEqual(limits.longestPauseMs);
        }
        if (next.kind === 'send') expect(queue.find(({ about }) => about === next.delivery.about)).toBe(next.delivery);
      }),
    );
  });
});

describe('after a failure', () => {
  const cases: [string, Partial<WaitingDelivery>, FailureKind, object][] = [
    ['that may pass, it is tried again soon', {}, 'passing', { kind: 'retry', attempts: 1, pausedMs: 10, nextMs: NOW + 10 }],
    [
      'of the second attempt, the pause is doubled',
      { attempts: 1, pausedMs: 10 },
      'passing',
      { kind: 'retry', attempts: 2, pausedMs: 30, nextMs: NOW + 20 },
    ],
    ['of many attempts, the pause has its limit', { attempts: 50 }, 'passing', { kind: 'retry', nextMs: NOW + 80 }],
    ['that a person must mend, the pause is the longest at once', {}, 'person', { kind: 'retry', attempts: 1, nextMs: NOW + 80 }],
    ['that is permanent, it is given up', {}, 'permanent', { kind: 'giveUp', attempts: 1 }],
    ['after all the pauses, it is given up', { attempts: 7, pausedMs: 300 }, 'passing', { kind: 'giveUp', attempts: 8 }],
    ['one pause before the end, it is not', { attempts: 7, pausedMs: 299 }, 'person', { kind: 'retry' }],
  ];
  test.each(cases)('%s', (_, state, failure, expected) => {
    expect(afterFailure(waiting('a', state), failure, NOW, limits)).toMatchObject(expected);
  });

  test('of every attempt, the documented limits give up after 12 to 13 hours and some fifty attempts, however the clock jumps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4e12 }), { minLength: 1, maxLength: 20 }), (clock) => {
        let delivery = waiting('a');
        for (;;) {
          const after = afterFailure(delivery, 'passing', clock[delivery.attempts % clock.length] ?? 0, DELIVERY_LIMITS);
          if (after.kind === 'giveUp') break;
          delivery = { ...delivery, ...after };
        }
        expect(delivery.pausedMs).toBeGreaterThanOrEqual(12 * 3_600_000);
        expect(delivery.pausedMs).toBeLessThan(13 * 3_600_000);
        expect(delivery.attempts + 1).toBe(54);
      }),
    );
  });
});
