/** The notice of an alarm that was raised or cleared. Its id follows from the alarm, so making it twice makes the same one. */
import { alarmOf } from '#rules/alarms.ts';
import type { Alarm } from '../../model.ts';
import { adviceFor } from './advice.ts';
import type { Notice } from './channel.ts';

/** `origin`: how the reader knows this Holdfast, such as the name of its active management node. */
export function noticeOf(alarm: Alarm, origin: string): Notice {
  const { id, subject, detail, raisedMs, clearedMs } = alarm;
  const { name, severity } = alarmOf(id);
  const kind = clearedMs === undefined ? 'raised' : 'cleared';
  const facts = {
    id: noticeId(alarm, kind),
    alarm: { id, name, severity },
    subject,
    detail,
    next: adviceFor(alarm),
    origin,
    raisedMs,
  };
  return clearedMs === undefined ? { ...facts, kind: 'raised' } : { ...facts, kind: 'cleared', clearedMs };
}

/** Of its raising and its clearing, in this order. */
export function noticeIdsOf(alarm: Alarm): string[] {
  return [noticeId(alarm, 'raised'), noticeId(alarm, 'cleared')];
}

function noticeId({ id, subject, raisedMs }: Alarm, kind: 'raised' | 'cleared'): string {
  return `${id}/${subject}/${raisedMs}/${kind}`;
}
