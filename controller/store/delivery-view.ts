/** Notices of alarms on their way to their channels. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Delivery } from '../model.ts';
import { decode, encode } from './codec.ts';
import type { Schema } from './schema.ts';
import type { Changes, Queries } from './store.ts';

/** Names asked for in one statement; both databases take many more. */
const BATCH = 500;

export function deliveryQueries(db: Kysely<Schema>): Pick<Queries, 'waitingDeliveries' | 'deliveriesOf'> {
  return {
    async waitingDeliveries(channel) {
      // A literal: with a parameter a database cannot know that the index of those that wait is enough.
      let query = db.selectFrom('alarm_delivery').select('body').where('state', '=', sql.lit('waiting')).orderBy('seq');
      if (channel !== undefined) query = query.where('channel', '=', channel);
      return (await query.execute()).map(deliveryIn);
    },
    async deliveriesOf(noticeIds) {
      const found: { seq: number; body: string }[] = [];
      for (let from = 0; from < noticeIds.length; from += BATCH) {
        const ids = noticeIds.slice(from, from + BATCH);
        found.push(...(await db.selectFrom('alarm_delivery').select(['seq', 'body']).where('notice', 'in', ids).execute()));
      }
      return found.toSorted((a, b) => a.seq - b.seq).map(deliveryIn);
    },
  };
}

export function deliveryChanges(db: Kysely<Schema>): Pick<Changes, 'addDelivery' | 'changeDelivery' | 'forgetDeliveries'> {
  return {
    async addDelivery(delivery) {
      await db
        .insertInto('alarm_delivery')
        .values({ notice: delivery.notice.id, channel: delivery.channel, ...columnsOf(delivery) })
        .onConflict((on) => on.columns(['notice', 'channel']).doNothing())
        .execute();
    },
    async changeDelivery(delivery) {
      await db
        .updateTable('alarm_delivery')
        .set(columnsOf(delivery))
        .where('notice', '=', delivery.notice.id)
        .where('channel', '=', delivery.channel)
        .execute();
    },
    async forgetDeliveries(beforeMs) {
      await db.deleteFrom('alarm_delivery').where('ended_ms', '<', beforeMs).execute();
    },
  };
}

function columnsOf(delivery: Delivery): { state: string; ended_ms: number | null; body: string } {
  return { state: delivery.state, ended_ms: delivery.endedMs ?? null, body: encode(delivery) };
}

function deliveryIn({ body }: { body: string }): Delivery {
  return decode(body) as Delivery;
}
