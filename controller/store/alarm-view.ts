/** Alarms, up or in the history. */
import type { Kysely, Selectable } from 'kysely';
import type { Alarm } from '../model.ts';
import { pageOf, seqOf } from './page.ts';
import type { Schema } from './schema.ts';
import type { Changes, Queries } from './store.ts';

export function alarmQueries(db: Kysely<Schema>): Pick<Queries, 'listAlarms' | 'openAlarms'> {
  return {
    async listAlarms(history, page) {
      let query = db.selectFrom('alarms').selectAll().orderBy('seq', 'desc');
      if (!history) query = query.where('cleared_ms', 'is', null);
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, alarmOf);
    },
    async openAlarms() {
      return (await db.selectFrom('alarms').selectAll().where('cleared_ms', 'is', null).orderBy('seq').execute()).map(alarmOf);
    },
  };
}

export function alarmChanges(db: Kysely<Schema>): Pick<Changes, 'raiseAlarm' | 'clearAlarm'> {
  return {
    async raiseAlarm({ id, subject, detail, raisedMs }) {
      const done = await db
        .insertInto('alarms')
        .values({ id, subject, detail, raised_ms: raisedMs, cleared_ms: null })
        .onConflict((on) => on.doNothing())
        .executeTakeFirst();
      return done.numInsertedOrUpdatedRows === 1n;
    },
    async clearAlarm(id, subject, clearedMs) {
      const done = await db
        .updateTable('alarms')
        .set({ cleared_ms: clearedMs })
        .where('id', '=', id)
        .where('subject', '=', subject)
        .where('cleared_ms', 'is', null)
        .executeTakeFirst();
      return done.numUpdatedRows > 0n;
    },
  };
}

function alarmOf({ id, subject, detail, raised_ms, cleared_ms }: Selectable<Schema['alarms']>): Alarm {
  return { id, subject, detail, raisedMs: raised_ms, clearedMs: cleared_ms ?? undefined };
}
