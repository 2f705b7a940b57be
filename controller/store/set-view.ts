/** Backup file sets, and what attempts that were given up have left. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { BackupSet, Leftover } from '../model.ts';
import { decode, encode } from './codec.ts';
import { pageOf, seqOf } from './page.ts';
import type { Schema } from './schema.ts';
import { heldByEach, setColumns } from './set-columns.ts';
import type { Changes, Queries } from './store.ts';

type SetQueries = Pick<Queries, 'set' | 'listSets' | 'setsOf' | 'setsToDelete' | 'setsLacking' | 'leftovers' | 'leftoversOf'>;
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
    async setsToDelete(page) {
      let query = oldestFirst.where('deleting', '=', sql.lit(1));
      if (page.token !== '') query = query.where('seq', '>', seqOf(page));
      return pageOf(await query.limit(page.size + 1).execute(), page, setIn);
    },
    async setsLacking(nodes, page) {
      let query = oldestFirst.where('deleting', '=', sql.lit(0)).limit(page.size + 1);
      if (page.token !== '') query = query.where('seq', '>', seqOf(page));
      const rows = [];
      for (const holders of await holdersThereAre(db)) {
        if (!heldByEach(holders, nodes)) rows.push(...(await query.where('held_by', '=', holders).execute()));
      }
      return pageOf(
        rows.toSorted((a, b) => a.seq - b.seq),
        page,
        setIn,
      );
    },
    async leftovers(page) {
      const after = page.token === '' ? ['', ''] : page.token.split('\n', 2);
      const rows = await db
        .selectFrom('leftovers')
        .select('body')
        .where((eb) => eb(eb.refTuple('run', 'prefix'), '>', eb.tuple(after[0] ?? '', after[1] ?? '')))
        .orderBy('run')
        .orderBy('prefix')
        .limit(page.size + 1)
        .execute();
      const items = rows.slice(0, page.size).map(({ body }) => decode(body) as Leftover);
      const last = items.at(-1);
      // Neither holds a line break.
      return { items, next: rows.length > page.size && last !== undefined ? `${last.runId}\n${last.prefix}` : '' };
    },
    async leftoversOf(runId) {
      const rows = await db.selectFrom('leftovers').select('body').where('run', '=', runId).orderBy('prefix').execute();
      return rows.map(({ body }) => decode(body) as Leftover);
    },
  };
}

/** By which nodes sets are held, each once: as few as there are mixtures of vaults. From one to the next along the index, not through its rows. */
async function holdersThereAre(db: Kysely<Schema>): Promise<string[]> {
  const found: string[] = [];
  const next = db.selectFrom('sets').select('held_by').where('deleting', '=', sql.lit(0)).orderBy('held_by').limit(1);
  for (let row = await next.where('held_by', '>=', '').executeTakeFirst(); row !== undefined;) {
    found.push(row.held_by);
    row = await next.where('held_by', '>', row.held_by).executeTakeFirst();
  }
  return found;
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
