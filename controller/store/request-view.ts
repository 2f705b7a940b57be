/** What was answered to which request, and who changed what. */
import type { Kysely } from 'kysely';
import { pageOf, seqOf } from './page.ts';
import type { Schema } from './schema.ts';
import type { Changes, Queries } from './store.ts';

export function requestQueries(db: Kysely<Schema>): Pick<Queries, 'answer' | 'listAudit'> {
  return {
    async answer(request) {
      return db.selectFrom('answers').select(['method', 'digest', 'response']).where('request', '=', request).executeTakeFirst();
    },
    async listAudit(page) {
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

export function requestChanges(db: Kysely<Schema>): Pick<Changes, 'putAnswer' | 'forgetAnswers' | 'audit'> {
  return {
    async putAnswer(request, { method, digest, response }, nowMs) {
      await db.insertInto('answers').values({ request, method, digest, response, answered_ms: nowMs }).execute();
    },
    async forgetAnswers(beforeMs) {
      await db.deleteFrom('answers').where('answered_ms', '<', beforeMs).execute();
    },
    async audit({ timeMs, ...rest }) {
      await db
        .insertInto('audit')
        .values({ time_ms: timeMs, ...rest })
        .execute();
    },
  };
}
