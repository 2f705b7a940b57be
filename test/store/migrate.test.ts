/** Catalogues of older and newer versions. */
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encode } from '../../controller/store/codec.ts';
import { SCHEMA_VERSION } from '../../controller/store/migrate.ts';
import { STEPS, statementFor } from '../../controller/store/tables.ts';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import type { Home } from './home.ts';
import { postgresHome, sqliteHome } from './homes.ts';
import { runOf, setOf } from './samples.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

interface Old extends Home {
  readonly kind: 'sqlite' | 'postgres';
  /** Statements, as an older or newer version may have left them. */
  run(...statements: string[]): Promise<void>;
  setVersion(version: number): string[];
}

const KINDS: Readonly<Record<string, () => Promise<Old>>> = {
  async SQLite() {
    const home = await sqliteHome();
    return {
      ...home,
      kind: 'sqlite',
      async run(...statements) {
        using file = new DatabaseSync(home.path);
        for (const statement of statements) file.exec(statement);
      },
      setVersion: (version) => [`PRAGMA user_version = ${version}`],
    };
  },
  async PostgreSQL() {
    const home = await postgresHome(server);
    return {
      ...home,
      kind: 'postgres',
      run: async (...statements) => void (await server.sql(home.database, ...statements)),
      setVersion: (version) => [
        'CREATE TABLE IF NOT EXISTS catalogue_version (version BIGINT NOT NULL)',
        'DELETE FROM catalogue_version',
        `INSERT INTO catalogue_version VALUES (${version})`,
      ],
    };
  },
};

describe.each(Object.entries(KINDS))('a catalogue on %s', (_name, kind) => {
  test('of the first version goes on: what runs holds its slot, and sets are found by their state', async () => {
    await using old = await kind();
    const body = (record: unknown) => `'${encode(record).replaceAll("'", "''")}'`;
    await old.run(
      ...(STEPS[0] ?? []).map((statement) => statementFor(old.kind, statement)),
      ...old.setVersion(1),
      `INSERT INTO runs (id, task, state, body) VALUES ('r1', 'nightly', 'running', ${body(runOf('r1', 'running'))})`,
      `INSERT INTO sets (id, task, body) VALUES ('goes', 'nightly', ${body(setOf('goes', 'nightly', ['mn1'], { deleting: { sinceMs: 1, unlisted: [] } }))})`,
      `INSERT INTO sets (id, task, body) VALUES ('lacks', 'nightly', ${body(setOf('lacks', 'nightly', ['mn1']))})`,
      `INSERT INTO sets (id, task, body) VALUES ('whole', 'nightly', ${body(setOf('whole', 'nightly', ['mn1', 'mn2']))})`,
    );
    const store = await old.open();
    const page = { size: 100, token: '' };
    expect((await store.setsToDelete(page)).items.map(({ id }) => id)).toEqual(['goes']);
    expect((await store.setsLacking(['mn1', 'mn2'], page)).items.map(({ id }) => id)).toEqual(['lacks']);
    const second = store.transaction((view) => view.putRun(runOf('r2', 'running', ['NameNode'])));
    await expect(second).rejects.toMatchObject({ code: 'LIMIT' });
    await store.transaction((view) => view.putRun(runOf('r1', 'successful')));
    await store.transaction((view) => view.putRun(runOf('r2', 'running', ['NameNode'])));
  });

  test('of a newer version is refused, and left as it is', async () => {
    await using place = await kind();
    await (await place.open()).close();
    await place.run(...place.setVersion(SCHEMA_VERSION + 1));
    await expect(place.open()).rejects.toMatchObject({ code: 'REFUSED', hint: expect.stringContaining('newer') as string });
    await place.run(...place.setVersion(SCHEMA_VERSION));
    await place.open();
  });

  test('whose migration fails stays of the version it was', async () => {
    await using old = await kind();
    const first = STEPS[0] ?? [];
    await old.run(
      ...first.map((statement) => statementFor(old.kind, statement)),
      ...old.setVersion(1),
      // In the way of the last statements of the second step.
      'CREATE TABLE in_the_way (held_by TEXT)',
      'CREATE INDEX sets_held_by ON in_the_way (held_by)',
    );
    await expect(old.open()).rejects.toMatchObject({ code: 'FAILED' });
    await old.run('DROP TABLE in_the_way');
    const store = await old.open();
    expect((await store.setsLacking(['mn1'], { size: 100, token: '' })).items).toEqual([]);
  });
});
