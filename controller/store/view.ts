/** The questions and changes of the catalogue, on a database or within a transaction of it. */
import type { Kysely } from 'kysely';
import { holdersOf } from '../model.ts';
import type { Alarm, BackupSet, Leftover, LogLine, Restore, Run, Task } from '../model.ts';
import { decode, encode } from './codec.ts';
import type { Schema } from './schema.ts';
import { notAToken } from './store.ts';
import type { Page, PageRequest, StoreView } from './store.ts';

export function viewOf(db: Kysely<Schema>): StoreView {
  return { ...taskView(db), ...runView(db), ...setView(db), ...alarmView(db), ...requestView(db) };
}

function taskView(db: Kysely<Schema>) {
  return {
    async task(name: string) {
      const row = await db.selectFrom('tasks').select('body').where('name', '=', name).executeTakeFirst();
      return row && (decode(row.body) as Task);
    },
    async tasks() {
      const rows = await db.selectFrom('tasks').select('body').orderBy('name').execute();
      return rows.map(({ body }) => decode(body) as Task);
    },
    async putTask(task: Task) {
      const body = encode(task);
      await db
        .insertInto('tasks')
        .values({ name: task.name, body })
        .onConflict((on) => on.column('name').doUpdateSet({ body }))
        .execute();
    },
    async deleteTask(name: string) {
      await db.deleteFrom('tasks').where('name', '=', name).execute();
    },
    async restore(name: string) {
      const row = await db.selectFrom('restores').select('body').where('name', '=', name).executeTakeFirst();
      return row && (decode(row.body) as Restore);
    },
    async restores() {
      const rows = await db.selectFrom('restores').select('body').orderBy('name').execute();
      return rows.map(({ body }) => decode(body) as Restore);
    },
    async deleteRestore(name: string) {
      await db.deleteFrom('restores').where('name', '=', name).execute();
    },
    async putRestore(restore: Restore) {
      const body = encode(restore);
      await db
        .insertInto('restores')
        .values({ name: restore.name, body })
        .onConflict((on) => on.column('name').doUpdateSet({ body }))
        .execute();
    },
  };
}

function runView(db: Kysely<Schema>) {
  return {
    async run(id: string) {
      const row = await db.selectFrom('runs').select('body').where('id', '=', id).executeTakeFirst();
      return row && (decode(row.body) as Run);
    },
    async listRuns(task: string, page: PageRequest) {
      let query = db.selectFrom('runs').select(['seq', 'body']).orderBy('seq', 'desc');
      if (task !== '') query = query.where('task', '=', task);
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, ({ body }) => decode(body) as Run);
    },
    async openRuns() {
      const rows = await db
        .selectFrom('runs')
        .select('body')
        .where('state', 'in', ['waiting', 'running'])
        .orderBy('seq')
        .execute();
      return rows.map(({ body }) => decode(body) as Run);
    },
    async putRun(run: Run) {
      const { id, task, state } = run;
      const body = encode(run);
      await db
        .insertInto('runs')
        .values({ id, task, state, body })
        .onConflict((on) => on.column('id').doUpdateSet({ state, body }))
        .execute();
    },
    async addLog(line: LogLine) {
      await db
        .insertInto('log')
        .values({ run: line.runId, body: encode(line) })
        .execute();
    },
    async listLog(runId: string, page: PageRequest) {
      let query = db.selectFrom('log').select(['seq', 'body']).where('run', '=', runId).orderBy('seq');
      if (page.token !== '') query = query.where('seq', '>', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, ({ body }) => decode(body) as LogLine);
    },
  };
}

function setView(db: Kysely<Schema>) {
  return {
    async set(id: string) {
      const row = await db.selectFrom('sets').select('body').where('id', '=', id).executeTakeFirst();
      return row && (decode(row.body) as BackupSet);
    },
    async listSets(task: string, page: PageRequest) {
      let query = db.selectFrom('sets').select(['seq', 'body']).orderBy('seq', 'desc');
      if (task !== '') query = query.where('task', '=', task);
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, ({ body }) => decode(body) as BackupSet);
    },
    async setsOf(task: string) {
      const rows = await db
        .selectFrom('sets')
        .select('body')
        .where('task', '=', task)
        .where('deleting', '=', 0)
        .orderBy('seq')
        .execute();
      return rows.map(({ body }) => decode(body) as BackupSet);
    },
    async setsToDelete(limit: number) {
      const rows = await db.selectFrom('sets').select('body').where('deleting', '=', 1).orderBy('seq').limit(limit).execute();
      return rows.map(({ body }) => decode(body) as BackupSet);
    },
    async setsLacking(node: string, limit: number) {
      const rows = await db
        .selectFrom('sets')
        .select('body')
        .where('deleting', '=', 0)
        .where('held_by', 'not like', `%/${node}/%`)
        .orderBy('seq')
        .limit(limit)
        .execute();
      return rows.map(({ body }) => decode(body) as BackupSet);
    },
    async putSet(set: BackupSet) {
      const { id, task } = set;
      const values = { deleting: set.deleting ? 1 : 0, held_by: `/${holdersOf(set).join('/')}/`, body: encode(set) };
      await db
        .insertInto('sets')
        .values({ id, task, ...values })
        .onConflict((on) => on.column('id').doUpdateSet(values))
        .execute();
    },
    async deleteSet(id: string) {
      await db.deleteFrom('sets').where('id', '=', id).execute();
    },
    async leftovers() {
      const rows = await db.selectFrom('leftovers').select('body').execute();
      return rows.map(({ body }) => decode(body) as Leftover);
    },
    async putLeftover(leftover: Leftover) {
      const body = encode(leftover);
      await db
        .insertInto('leftovers')
        .values({ run: leftover.runId, prefix: leftover.prefix, body })
        .onConflict((on) => on.columns(['run', 'prefix']).doUpdateSet({ body }))
        .execute();
    },
    async deleteLeftover({ runId, prefix }: Leftover) {
      await db.deleteFrom('leftovers').where('run', '=', runId).where('prefix', '=', prefix).execute();
    },
  };
}

function alarmView(db: Kysely<Schema>) {
  const alarmOf = (row: {
    id: number;
    subject: string;
    detail: string;
    raised_ms: number;
    cleared_ms: number | null;
  }): Alarm => ({
    id: row.id,
    subject: row.subject,
    detail: row.detail,
    raisedMs: row.raised_ms,
    clearedMs: row.cleared_ms ?? undefined,
  });
  return {
    async listAlarms(history: boolean, page: PageRequest) {
      let query = db.selectFrom('alarms').selectAll().orderBy('seq', 'desc');
      if (!history) query = query.where('cleared_ms', 'is', null);
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, alarmOf);
    },
    async openAlarms() {
      return (await db.selectFrom('alarms').selectAll().where('cleared_ms', 'is', null).orderBy('seq').execute()).map(alarmOf);
    },
    async raiseAlarm({ id, subject, detail, raisedMs }: Omit<Alarm, 'clearedMs'>) {
      const done = await db
        .insertInto('alarms')
        .values({ id, subject, detail, raised_ms: raisedMs, cleared_ms: null })
        .onConflict((on) => on.doNothing())
        .executeTakeFirst();
      return done.numInsertedOrUpdatedRows === 1n;
    },
    async clearAlarm(id: number, subject: string, clearedMs: number) {
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

function requestView(db: Kysely<Schema>) {
  return {
    async answer(request: string) {
      return db.selectFrom('answers').select(['method', 'digest', 'response']).where('request', '=', request).executeTakeFirst();
    },
    async putAnswer(
      request: string,
      { method, digest, response }: { method: string; digest: string; response: Uint8Array },
      nowMs: number,
    ) {
      await db.insertInto('answers').values({ request, method, digest, response, answered_ms: nowMs }).execute();
    },
    async forgetAnswers(beforeMs: number) {
      await db.deleteFrom('answers').where('answered_ms', '<', beforeMs).execute();
    },
    async audit(line: { timeMs: number; who: string; method: string; subject: string; detail: string }) {
      const { timeMs, ...rest } = line;
      await db
        .insertInto('audit')
        .values({ time_ms: timeMs, ...rest })
        .execute();
    },
    async listAudit(page: PageRequest) {
      let query = db.selectFrom('audit').selectAll().orderBy('seq', 'desc');
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, ({ time_ms, who, method, subject, detail }) => ({
        timeMs: time_ms,
        who,
        method,
        subject,
        detail,
      }));
    },
  };
}

function seqOf({ token }: PageRequest): number {
  if (!/^\d{1,15}$/.test(token)) throw notAToken(token);
  return Number(token);
}

/** One row more than asked for was read: it tells whether there is another page. */
function pageOf<Row extends { seq: number }, T>(rows: readonly Row[], page: PageRequest, item: (row: Row) => T): Page<T> {
  const shown = rows.slice(0, page.size);
  return { items: shown.map(item), next: rows.length > page.size ? String(shown.at(-1)?.seq ?? '') : '' };
}
