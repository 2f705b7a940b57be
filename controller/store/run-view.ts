/** Runs, what they claim, and their log. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { LogLine, Run } from '../model.ts';
import { claimFor } from './claims.ts';
import { decode, encode } from './codec.ts';
import { pageOf, seqOf } from './page.ts';
import type { Schema } from './schema.ts';
import type { Changes, Queries } from './store.ts';

export function runQueries(db: Kysely<Schema>): Pick<Queries, 'run' | 'listRuns' | 'openRuns' | 'listLog'> {
  return {
    async run(id) {
      const row = await db.selectFrom('runs').select('body').where('id', '=', id).executeTakeFirst();
      return row && (decode(row.body) as Run);
    },
    async listRuns(task, page) {
      let query = db.selectFrom('runs').select(['seq', 'body']).orderBy('seq', 'desc');
      if (task !== '') query = query.where('task', '=', task);
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, ({ body }) => decode(body) as Run);
    },
    async openRuns() {
      const rows = await db
        .selectFrom('runs')
        .select('body')
        // Literals: with parameters a database cannot know that the index of the open ones is enough.
        .where('state', 'in', [sql.lit('waiting'), sql.lit('running')])
        .orderBy('seq')
        .execute();
      return rows.map(({ body }) => decode(body) as Run);
    },
    async listLog(runId, page) {
      let query = db.selectFrom('log').select(['seq', 'body']).where('run', '=', runId).orderBy('seq');
      if (page.token !== '') query = query.where('seq', '>', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, ({ body }) => decode(body) as LogLine);
    },
  };
}

export function runChanges(db: Kysely<Schema>, slots: number): Pick<Changes, 'putRun' | 'addLog'> {
  return {
    async putRun(run) {
      const { id, task, state } = run;
      const body = encode(run);
      await claimFor(db, run, slots);
      await db
        .insertInto('runs')
        .values({ id, task, state, body })
        .onConflict((on) => on.column('id').doUpdateSet({ state, body }))
        .execute();
    },
    async addLog(line) {
      await db
        .insertInto('log')
        .values({ run: line.runId, body: encode(line) })
        .execute();
    },
  };
}
