/** Nodes that have said Hello, and how full their vaults were. */
import type { Kysely } from 'kysely';
import type { KnownAgent, SpaceRecord } from '../model.ts';
import { decode, encode } from './codec.ts';
import type { Schema } from './schema.ts';
import type { Changes, Queries } from './store.ts';

export function nodeQueries(db: Kysely<Schema>): Pick<Queries, 'agent' | 'agents' | 'spaceSamples'> {
  return {
    async agent(node) {
      const row = await db.selectFrom('agents').select('body').where('node', '=', node).executeTakeFirst();
      return row && (decode(row.body) as KnownAgent);
    },
    async agents() {
      const rows = await db.selectFrom('agents').select('body').orderBy('node').execute();
      return rows.map(({ body }) => decode(body) as KnownAgent);
    },
    async spaceSamples(node, limit) {
      const newest = db.selectFrom('space_samples').select('body').where('node', '=', node).orderBy('time_ms', 'desc');
      return (await newest.limit(limit).execute()).map(({ body }) => decode(body) as SpaceRecord).toReversed();
    },
  };
}

type NodeChanges = Pick<Changes, 'putAgent' | 'deleteAgent' | 'putSpaceSample' | 'forgetSpaceSamples'>;

export function nodeChanges(db: Kysely<Schema>): NodeChanges {
  return {
    async putAgent(agent) {
      const body = encode(agent);
      await db
        .insertInto('agents')
        .values({ node: agent.node, body })
        .onConflict((on) => on.column('node').doUpdateSet({ body }))
        .execute();
    },
    async deleteAgent(node) {
      await db.deleteFrom('agents').where('node', '=', node).execute();
    },
    async putSpaceSample(sample) {
      const body = encode(sample);
      await db
        .insertInto('space_samples')
        .values({ node: sample.node, time_ms: sample.timeMs, body })
        .onConflict((on) => on.columns(['node', 'time_ms']).doUpdateSet({ body }))
        .execute();
    },
    async forgetSpaceSamples(beforeMs) {
      await db.deleteFrom('space_samples').where('time_ms', '<', beforeMs).execute();
    },
  };
}
