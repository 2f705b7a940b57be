/** Backup file sets, and what attempts that were given up have left. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { BackupSet, Leftover } from '../model.ts';
import { decode, encode } from './codec.ts';
import { pageOf, seqOf } from './page.ts';
import type { Schema } from './schema.ts';
import { heldBy, setColumns } from './set-columns.ts';
import type { Changes, Queries } from './store.ts';

type SetQueries = Pick<Queries, 'set' | 'listSets' | 'setsOf' | 'setsToDelete' | 'setsLacking' | 'leftovers'>;
type SetChanges = Pick<Changes, 'putSet' | 'deleteSet' | 'putLeftover' | 'deleteLeftover'>;

const setIn = ({ body }: { body: string }) => decode(body) as BackupSet;

export function setQueries(db: Kysely<Schema>): SetQueries {
  const oldestFirst = db.selectFrom('sets').select(['seq', 'body']).orderBy('seq');
  return {
    async set(id) {
      const row = await db.selectFrom('sets').select('body').where('id', '=', id).executeTakeFirst();
      return row && setIn(row);
    },
    async listSets(task, page) {
      let query = db.selectFrom('sets').select(['seq', 'body']).orderBy('seq', 'desc');
      if (task !== '') query = query.where('task', '=', task);
      if (page.token !== '') query = query.where('seq', '<', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, setIn);
    },
    async setsOf(task) {
      return (await oldestFirst.where('task', '=', task).where('deleting', '=', sql.lit(0)).execute()).map(setIn);
    },
    async setsToDelete(limit) {
      return (await oldestFirst.where('deleting', '=', sql.lit(1)).limit(limit).execute()).map(setIn);
    },
    async setsLacking(nodes) {
      // Nearly every set is held by just these nodes: the two ends of the index around that value are the few others.
      const all = heldBy(nodes);
      const others = db.selectFrom('sets').select(['seq', 'body']).where('deleting', '=', sql.lit(0));
      const rows = [
        ...(await others.where('held_by', '<', all).execute()),
        ...(await others.where('held_by', '>', all).execute()),
      ];
      return rows
        .toSorted((a, b) => a.seq - b.seq)
        .map(setIn)
        .filter(({ files }) => files.some((held) => nodes.some((node) => !held.nodes.includes(node))));
    },
    async leftovers() {
      const rows = await db.selectFrom('leftovers').select('body').orderBy('run').orderBy('prefix').execute();
      return rows.map(({ body }) => decode(body) as Leftover);
    },
  };
}

export function setChanges(db: Kysely<Schema>): SetChanges {
  return {
    async putSet(set) {
      const { id, task } = set;
      const changed = { ...setColumns(set), body: encode(set) };
      await db
        .insertInto('sets')
        .values({ id, task, ...changed })
        .onConflict((on) => on.column('id').doUpdateSet(changed))
        .execute();
    },
    async deleteSet(id) {
      await db.deleteFrom('sets').where('id', '=', id).execute();
    },
    async putLeftover(leftover) {
      const body = encode(leftover);
      await db
        .insertInto('leftovers')
        .values({ run: leftover.runId, prefix: leftover.prefix, body })
        .onConflict((on) => on.columns(['run', 'prefix']).doUpdateSet({ body }))
        .execute();
    },
    async deleteLeftover({ runId, prefix }) {
      await db.deleteFrom('leftovers').where('run', '=', runId).where('prefix', '=', prefix).execute();
    },
  };
}
