/** What is asked at each tick, and the first page of each list, does not grow with the history: the databases' own plans say so. */
import { CompiledQuery } from 'kysely';
import type { Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../controller/store/database.ts';
import { openPostgres } from '../../controller/store/postgres.ts';
import type { Schema } from '../../controller/store/schema.ts';
import { openSqlite } from '../../controller/store/sqlite.ts';
import type { Queries } from '../../controller/store/store.ts';
import { queriesOf } from '../../controller/store/view.ts';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import type { Home } from './home.ts';
import { postgresHome, sqliteHome } from './homes.ts';

const RUNS = 100_000;
const SETS = 20_000;

let server: TestServer;
const homes: Home[] = [];
const databases: Database[] = [];
beforeAll(async () => {
  server = await startServer();
  const file = await sqliteHome();
  const place = await postgresHome(server);
  homes.push(file, place);
  databases.push(await openSqlite(file.path), await openPostgres(place.where()));
  for (const { kind, db } of databases) {
    for (const statement of history(kind)) await db.executeQuery(CompiledQuery.raw(statement));
  }
});
afterAll(async () => {
  for (const { db } of databases) await db.destroy();
  for (const home of homes) await home[Symbol.asyncDispose]();
  await server.stop();
});

/** Made by the databases themselves: 3 runs are open, 2 sets go, 2 lack something, 2 alarms are up, 2 notices wait. All sets lie in a vault that is no more. */
function history(kind: Database['kind']): string[] {
  const numbers = (count: number) =>
    kind === 'sqlite'
      ? `(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${count}) SELECT n FROM s) AS s`
      : `generate_series(1, ${count}) AS s(n)`;
  const text = kind === 'sqlite' ? "'x' || n" : "'x' || n::text";
  const set = `'{"id":"s","files":[{"file":{},"nodes":["mn1"]}]}'`;
  return [
    `INSERT INTO runs (id, task, state, body) SELECT ${text}, 'task' || (n % 200), CASE WHEN n IN (5, 50000, 99999) THEN 'waiting' ELSE 'successful' END, '{}' FROM ${numbers(RUNS)}`,
    `INSERT INTO log (run, body) SELECT 'x' || (n % 1000), '{}' FROM ${numbers(RUNS)}`,
    `INSERT INTO sets (id, task, body, deleting, held_by) SELECT ${text}, 'task' || (n % 200), ${set}, CASE WHEN n IN (7, 19000) THEN 1 ELSE 0 END, CASE WHEN n IN (9, 18000) THEN 'mn1,old' ELSE 'mn1,mn2,old' END FROM ${numbers(SETS)}`,
    `INSERT INTO leftovers (run, prefix, body) SELECT ${text}, 'p', '{}' FROM ${numbers(SETS)}`,
    `INSERT INTO alarms (id, subject, detail, raised_ms, cleared_ms) SELECT 12034, 'task' || (n % 200), '', n, CASE WHEN n IN (3, 19998) THEN NULL ELSE n END FROM ${numbers(SETS)}`,
    `INSERT INTO alarm_delivery (notice, channel, state, ended_ms, body) SELECT 'n' || (n / 2), CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END, CASE WHEN n IN (3, 19998) THEN 'waiting' ELSE 'delivered' END, CASE WHEN n IN (3, 19998) THEN NULL ELSE n END, '{}' FROM ${numbers(SETS)}`,
    `INSERT INTO space_samples (node, time_ms, body) SELECT 'mn' || (n % 2), n, '{}' FROM ${numbers(SETS)}`,
    `INSERT INTO answers (request, method, digest, response, answered_ms) SELECT ${text}, 'm', 'd', ${kind === 'sqlite' ? "x'00'" : "'\\x00'::bytea"}, n FROM ${numbers(SETS)}`,
    `INSERT INTO audit (time_ms, who, method, subject, detail) SELECT n, 'w', 'm', 's', '' FROM ${numbers(SETS)}`,
    'ANALYZE',
  ];
}

const page = { size: 50, token: '' };
const later = { size: 50, token: '15000' };
const QUESTIONS: Readonly<Record<string, { readonly ask: (queries: Queries) => Promise<unknown>; readonly finds?: number }>> = {
  openRuns: { ask: (queries) => queries.openRuns(), finds: 3 },
  setsToDelete: { ask: async (queries) => (await queries.setsToDelete(page)).items, finds: 2 },
  setsLacking: { ask: async (queries) => (await queries.setsLacking(['mn2', 'mn1'], page)).items, finds: 2 },
  'setsLacking after a rename of the standby': {
    ask: async (queries) => (await queries.setsLacking(['mn1', 'new'], later)).items,
    finds: 50,
  },
  leftovers: { ask: async (queries) => (await queries.leftovers({ size: 50, token: 'x5\np' })).items, finds: 50 },
  leftoversOf: { ask: (queries) => queries.leftoversOf('x5'), finds: 1 },
  setsOf: { ask: (queries) => queries.setsOf('task8'), finds: 100 },
  openAlarms: { ask: (queries) => queries.openAlarms(), finds: 2 },
  waitingDeliveries: { ask: (queries) => queries.waitingDeliveries(), finds: 2 },
  'waitingDeliveries of a channel': { ask: (queries) => queries.waitingDeliveries('b'), finds: 1 },
  deliveriesOf: { ask: (queries) => queries.deliveriesOf(['n7', 'n8000', 'none']), finds: 4 },
  spaceSamples: { ask: (queries) => queries.spaceSamples('mn1', 100), finds: 100 },
  run: { ask: (queries) => queries.run('x70000') },
  set: { ask: (queries) => queries.set('x7000') },
  answer: { ask: (queries) => queries.answer('x7000') },
  'listRuns of all': { ask: (queries) => queries.listRuns('', page) },
  'listRuns of all, a later page': { ask: (queries) => queries.listRuns('', later) },
  'listRuns of a task': { ask: (queries) => queries.listRuns('task7', page) },
  'listRuns of a task without runs': { ask: (queries) => queries.listRuns('none', page) },
  'listRuns of a task, a later page': { ask: (queries) => queries.listRuns('task7', later) },
  listLog: { ask: (queries) => queries.listLog('x7', page) },
  'listSets of all': { ask: (queries) => queries.listSets('', page) },
  'listSets of a task': { ask: (queries) => queries.listSets('task7', later) },
  'listAlarms that are up': { ask: (queries) => queries.listAlarms(false, page) },
  'listAlarms of the history': { ask: (queries) => queries.listAlarms(true, later) },
  listAudit: { ask: (queries) => queries.listAudit(later) },
};

describe.each([0, 1])('on database %i', (number) => {
  test.each(Object.entries(QUESTIONS))('%s reads by an index, and no more than it tells', async (_name, { ask, finds }) => {
    const { kind, db } = databases[number] as Database;
    const asked: CompiledQuery[] = [];
    const seen = db.withPlugin({
      transformQuery: ({ node }) => {
        asked.push(db.getExecutor().compileQuery(node, { queryId: 'plan' }));
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    const answer = await ask(queriesOf(seen));
    if (finds !== undefined) expect(answer).toHaveLength(finds);
    expect(asked.length).toBeGreaterThan(0);
    for (const query of asked) expect(await rowsRead(kind, db, query), query.sql).toBeLessThanOrEqual(200);
  });
});

/** SQLite tells how it goes, not how far: any scan of a table that is not along its order for a page is too much. */
async function rowsRead(kind: Database['kind'], db: Kysely<Schema>, { sql, parameters }: CompiledQuery): Promise<number> {
  if (kind === 'sqlite') {
    const plan = await db.executeQuery(CompiledQuery.raw(`EXPLAIN QUERY PLAN ${sql}`, [...parameters]));
    const steps = plan.rows.map((row) => String((row as { detail: unknown }).detail));
    const alongItsOrder = sql.includes(' limit ') && !sql.includes(' where ');
    const ofFewRows = /USING INDEX (runs_open|alarms_open|sets_deleting|alarm_delivery_waiting)\b/;
    const whole = steps.filter((step) => step.startsWith('SCAN') && !alongItsOrder && !ofFewRows.test(step));
    const sorted = steps.filter((step) => step.includes('TEMP B-TREE') && sql.includes(' limit '));
    expect([...whole, ...sorted], steps.join('\n')).toEqual([]);
    return 0;
  }
  const plan = await db.executeQuery(CompiledQuery.raw(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`, [...parameters]));
  const [{ Plan: top }] = (plan.rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'];
  return readBy(top);
}

interface PlanNode {
  readonly 'Actual Rows': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

function readBy(node: PlanNode): number {
  const own = node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0);
  return Math.max(own, ...(node.Plans ?? []).map(readBy));
}
