/** The questions and changes of the catalogue, on a database or within a transaction of it. */
import type { Kysely } from 'kysely';
import { alarmChanges, alarmQueries } from './alarm-view.ts';
import { deliveryChanges, deliveryQueries } from './delivery-view.ts';
import { nodeChanges, nodeQueries } from './node-view.ts';
import { requestChanges, requestQueries } from './request-view.ts';
import { runChanges, runQueries } from './run-view.ts';
import type { Schema } from './schema.ts';
import { setChanges, setQueries } from './set-view.ts';
import type { Queries, StoreView } from './store.ts';
import { taskChanges, taskQueries } from './task-view.ts';

export function queriesOf(db: Kysely<Schema>): Queries {
  return {
    ...taskQueries(db),
    ...runQueries(db),
    ...setQueries(db),
    ...alarmQueries(db),
    ...deliveryQueries(db),
    ...nodeQueries(db),
    ...requestQueries(db),
  };
}

export function viewOf(db: Kysely<Schema>, slots: number): StoreView {
  return {
    ...queriesOf(db),
    ...taskChanges(db),
    ...runChanges(db, slots),
    ...setChanges(db),
    ...alarmChanges(db),
    ...deliveryChanges(db),
    ...nodeChanges(db),
    ...requestChanges(db),
  };
}
