/** Tasks and restores: at most a hundred of each. */
import type { Kysely } from 'kysely';
import type { Restore, Task } from '../model.ts';
import { decode, encode } from './codec.ts';
import type { Schema } from './schema.ts';
import type { Changes, Queries } from './store.ts';

export function taskQueries(db: Kysely<Schema>): Pick<Queries, 'task' | 'tasks' | 'restore' | 'restores'> {
  return {
    async task(name) {
      const row = await db.selectFrom('tasks').select('body').where('name', '=', name).executeTakeFirst();
      return row && (decode(row.body) as Task);
    },
    async tasks() {
      const rows = await db.selectFrom('tasks').select('body').orderBy('name').execute();
      return rows.map(({ body }) => decode(body) as Task);
    },
    async restore(name) {
      const row = await db.selectFrom('restores').select('body').where('name', '=', name).executeTakeFirst();
      return row && (decode(row.body) as Restore);
    },
    async restores() {
      const rows = await db.selectFrom('restores').select('body').orderBy('name').execute();
      return rows.map(({ body }) => decode(body) as Restore);
    },
  };
}

export function taskChanges(db: Kysely<Schema>): Pick<Changes, 'putTask' | 'deleteTask' | 'putRestore' | 'deleteRestore'> {
  return {
    async putTask(task) {
      const body = encode(task);
      await db
        .insertInto('tasks')
        .values({ name: task.name, body })
        .onConflict((on) => on.column('name').doUpdateSet({ body }))
        .execute();
    },
    async deleteTask(name) {
      await db.deleteFrom('tasks').where('name', '=', name).execute();
    },
    async putRestore(restore) {
      const body = encode(restore);
      await db
        .insertInto('restores')
        .values({ name: restore.name, body })
        .onConflict((on) => on.column('name').doUpdateSet({ body }))
        .execute();
    },
    async deleteRestore(name) {
      await db.deleteFrom('restores').where('name', '=', name).execute();
    },
  };
}
