import { describe, expect, test } from 'vitest';
import { ALARMS } from '#rules/alarms.ts';
import { noticeOf } from '../../controller/alarms/delivery/notice.ts';

const alarm = { id: ALARMS.periodicFailure.id, subject: 'default', detail: 'OMS failed', raisedMs: 1000, clearedMs: undefined };

describe('the notice of an alarm', () => {
  test('is the same when it is made again, and another when the alarm is cleared or raised anew', () => {
    const notices = [alarm, { ...alarm, clearedMs: 2000 }, { ...alarm, raisedMs: 3000 }].map((each) => noticeOf(each, 'mn1'));
    expect(new Set(notices.map(({ id }) => id)).size).toBe(3);
    expect(noticeOf(alarm, 'mn1')).toEqual(notices[0]);
  });

  test('names alarm, severity and what to type', () => {
    expect(noticeOf(alarm, 'mn1')).toMatchObject({
      kind: 'raised',
      alarm: { id: 12034, name: 'Periodic backup failure', severity: 'major' },
      next: expect.stringContaining('holdfast run list --task default') as string,
    });
    expect(noticeOf({ ...alarm, clearedMs: 2000 }, 'mn1')).toMatchObject({ kind: 'cleared', clearedMs: 2000 });
  });

  test('says something useful of every alarm there is', () => {
    for (const { id } of Object.values(ALARMS)) {
      expect(noticeOf({ ...alarm, id }, 'mn1').next).not.toMatch(/^See what it says/);
    }
    expect(noticeOf({ ...alarm, id: 99 }, 'mn1').next, 'of a newer version').toMatch(/^See what it says/);
  });
});
