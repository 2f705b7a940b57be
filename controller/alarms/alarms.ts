/** Raising and clearing: once each, logged once each, and told to everybody who is to be told. */
import { alarmOf } from '#rules/alarms.ts';
import type { Condition } from '#rules/conditions.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';

export async function raise(change: Change, io: EngineIo, id: number, subject: string, detail: string): Promise<void> {
  const alarm = { id, subject, detail, raisedMs: io.clock.now() };
  if (!(await change.raiseAlarm(alarm))) return;
  await io.notices.put(change, { ...alarm, clearedMs: undefined });
  change.after(() => io.log.warn({ alarm: id, what: alarmOf(id).name, subject, detail }, 'alarm raised'));
}

export async function clear(change: Change, io: EngineIo, id: number, subject: string): Promise<void> {
  const up = (await change.openAlarms()).find((alarm) => alarm.id === id && alarm.subject === subject);
  const clearedMs = io.clock.now();
  if (up === undefined || !(await change.clearAlarm(id, subject, clearedMs))) return;
  await io.notices.put(change, { ...up, clearedMs });
  change.after(() => io.log.info({ alarm: id, what: alarmOf(id).name, subject }, 'alarm cleared'));
}

/** Up for each subject whose condition says why, and for no other: what is not named any more is cleared too. */
export async function settle(
  change: Change,
  io: EngineIo,
  id: number,
  conditions: Iterable<readonly [subject: string, condition: Condition]>,
): Promise<void> {
  const up = new Set((await change.openAlarms()).filter((alarm) => alarm.id === id).map(({ subject }) => subject));
  for (const [subject, condition] of conditions) {
    if (condition === undefined) continue;
    if (!up.delete(subject)) await raise(change, io, id, subject, condition);
  }
  for (const subject of up) await clear(change, io, id, subject);
}
