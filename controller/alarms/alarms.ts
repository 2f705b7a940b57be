/** Raising and clearing: once each, logged once each. */
import { alarmOf } from '#rules/alarms.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';

export async function raise(change: Change, io: EngineIo, id: number, subject: string, detail: string): Promise<void> {
  if (!(await change.raiseAlarm({ id, subject, detail, raisedMs: io.clock.now() }))) return;
  change.after(() => io.log.warn({ alarm: id, what: alarmOf(id).name, subject, detail }, 'alarm raised'));
}

export async function clear(change: Change, io: EngineIo, id: number, subject: string): Promise<void> {
  if (!(await change.clearAlarm(id, subject, io.clock.now()))) return;
  change.after(() => io.log.info({ alarm: id, what: alarmOf(id).name, subject }, 'alarm cleared'));
}
