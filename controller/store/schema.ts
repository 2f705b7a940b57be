/**
 * Tables of the catalogue and the steps that lead to them: numbered, forward only. A record stands whole in `body`; what is
 * asked for has a column. `held_by`: the nodes whose vault holds every file of the set, as "/mn1/mn2/".
 */
import { sql } from 'kysely';
import type { Generated, Kysely } from 'kysely';
import { AppError } from '#common/errors.ts';

export interface Schema {
  tasks: { name: string; body: string };
  runs: { seq: Generated<number>; id: string; task: string; state: string; body: string };
  log: { seq: Generated<number>; run: string; body: string };
  sets: { seq: Generated<number>; id: string; task: string; deleting: number; held_by: string; body: string };
  restores: { name: string; body: string };
  alarms: { seq: Generated<number>; id: number; subject: string; detail: string; raised_ms: number; cleared_ms: number | null };
  leftovers: { run: string; prefix: string; body: string };
  answers: { request: string; method: string; digest: string; response: Uint8Array; answered_ms: number };
  audit: { seq: Generated<number>; time_ms: number; who: string; method: string; subject: string; detail: string };
}

const MIGRATIONS: readonly (readonly string[])[] = [
  [
    'CREATE TABLE tasks (name TEXT PRIMARY KEY, body TEXT NOT NULL)',
    'CREATE TABLE runs (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL)',
    'CREATE INDEX runs_task ON runs (task, seq)',
    // The engine asks at each tick which runs are open: that must not grow with the history.
    'CREATE INDEX runs_state ON runs (state, seq)',
    // Rule: concurrent running tasks 1. Held here too, so that no fault of the engine can break it.
    "CREATE UNIQUE INDEX one_run_runs ON runs (state) WHERE state = 'running'",
    'CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, body TEXT NOT NULL)',
    'CREATE INDEX log_run ON log (run, seq)',
    'CREATE TABLE sets (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL, deleting INTEGER NOT NULL, held_by TEXT NOT NULL, body TEXT NOT NULL)',
    'CREATE INDEX sets_task ON sets (task, seq)',
    // What the vaults have to do is asked at each tick too: from this index alone, without the records.
    'CREATE INDEX sets_upkeep ON sets (deleting, held_by, seq)',
    'CREATE TABLE restores (name TEXT PRIMARY KEY, body TEXT NOT NULL)',
    'CREATE TABLE alarms (seq INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL, raised_ms INTEGER NOT NULL, cleared_ms INTEGER)',
    'CREATE UNIQUE INDEX one_alarm_up ON alarms (id, subject) WHERE cleared_ms IS NULL',
    'CREATE TABLE leftovers (run TEXT NOT NULL, prefix TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run, prefix))',
    'CREATE TABLE answers (request TEXT PRIMARY KEY, method TEXT NOT NULL, digest TEXT NOT NULL, response BLOB NOT NULL, answered_ms INTEGER NOT NULL)',
    'CREATE TABLE audit (seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, who TEXT NOT NULL, method TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL)',
  ],
];

/** @throws AppError REFUSED when a newer version has written here. */
export async function migrate(db: Kysely<Schema>, path: string): Promise<void> {
  const { rows } = await sql<{ user_version: number }>`PRAGMA user_version`.execute(db);
  const version = rows[0]?.user_version ?? 0;
  if (version > MIGRATIONS.length) {
    throw new AppError(
      'REFUSED',
      `the catalogue ${path} is of version ${version}, and this controller knows ${MIGRATIONS.length}`,
      {
        hint: 'Start the version of the controller that wrote it, or a newer one.',
      },
    );
  }
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < version) continue;
    await db.transaction().execute(async (step) => {
      for (const statement of statements) await sql.raw(statement).execute(step);
      await sql.raw(`PRAGMA user_version = ${index + 1}`).execute(step);
    });
  }
}
