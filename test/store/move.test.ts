/** A catalogue is carried from one database to another as a file, whole or not at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportCatalogue } from '../../controller/store/export.ts';
import { importCatalogue } from '../../controller/store/import.ts';
import { TABLE_NAMES } from '../../controller/store/catalogue-file.ts';
import type { Database } from '../../controller/store/database.ts';
import { SCHEMA_VERSION } from '../../controller/store/migrate.ts';
import { openPostgres } from '../../controller/store/postgres.ts';
import { openSqlite } from '../../controller/store/sqlite.ts';
import type { Store } from '../../controller/store/store.ts';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import type { Home } from './home.ts';
import { postgresHome, sqliteHome } from './homes.ts';
import {
  HUGE,
  ODD_TEXT,
  agentOf,
  auditOf,
  deliveryOf,
  everyPage,
  leftoverOf,
  lineOf,
  restoreOf,
  runOf,
  setOf,
  taskOf,
} from './samples.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

interface Place extends Home {
  /** Without taking the lead. */
  database(): Promise<Database>;
}

const KINDS: Readonly<Record<string, () => Promise<Place>>> = {
  async SQLite() {
    const home = await sqliteHome();
    return { ...home, database: () => openSqlite(home.path) };
  },
  async PostgreSQL() {
    const home = await postgresHome(server);
    return { ...home, database: () => openPostgres(home.where()) };
  },
};
const WAYS = Object.entries(KINDS).flatMap(([from, source]) =>
  Object.entries(KINDS).map(([to, target]) => ({ from, to, source, target })),
);

/** Every table, more than a page of some, gaps in the numbers, and everything that text can hold. */
async function fill(store: Store): Promise<void> {
  await store.transaction(async (view) => {
    for (const name of ['nightly', 'b_1', 'A']) await view.putTask(taskOf(name, { sources: [] }));
    for (let number = 1; number <= 1203; number++) {
      await view.putRun(runOf(`r${number}`, 'successful', [], { task: `t${number % 7}` }));
      await view.addLog(lineOf(`r${number}`, `${ODD_TEXT} \0 ${number}`));
    }
    await view.putRun(runOf('running', 'running', ['OMS', 'NameNode']));
    await view.putRun(runOf('waiting', 'waiting'));
    for (const id of ['s1', 's2', 's3']) await view.putSet(setOf(id, 'nightly', ['mn1', 'mn2']));
    await view.deleteSet('s2');
    await view.putRestore(restoreOf('back', 's1'));
    for (let number = 1; number <= 501; number++) await view.putLeftover(leftoverOf(`r${number % 2}`, `p${number}`, ['mn1']));
    await view.raiseAlarm({ id: 12034, subject: 'a', detail: ODD_TEXT, raisedMs: 1 });
    await view.clearAlarm(12034, 'a', 2);
    await view.raiseAlarm({ id: 12034, subject: 'a', detail: ODD_TEXT, raisedMs: 3 });
    for (const channel of ['webhook/ops', 'email/x/a@example.org']) await view.addDelivery(deliveryOf('n1', channel));
    await view.changeDelivery(deliveryOf('n1', 'webhook/ops', { state: 'delivered', endedMs: 7 }));
    for (const node of ['mn2', 'mn1']) await view.putAgent(agentOf(node));
    for (const timeMs of [1, 2]) await view.putSpaceSample({ node: 'mn1', timeMs, freeBytes: HUGE, usedBytes: 1n });
    await view.putAnswer('one', { method: 'RunTask', digest: 'd', response: new Uint8Array([0, 255, 10, 13, 34]) }, 5);
    await view.putAnswer('empty', { method: 'RunTask', digest: 'd', response: new Uint8Array() }, 5);
    await view.audit(auditOf('x'));
  });
}

/** Every row of every table, in a form that both databases give alike. */
async function contents(place: Place): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const table of TABLE_NAMES) {
    const rows = await place.rows(`SELECT * FROM ${table}`);
    all[table] = rows
      .map((row) =>
        JSON.stringify(
          Object.entries(row)
            .map(([column, value]) => [
              column,
              value instanceof Uint8Array
                ? Buffer.from(value).toString('hex')
                : /^(seq|.*_ms|id|deleting)$/.test(column)
                  ? String(value)
                  : value,
            ])
            .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
        ),
      )
      .toSorted();
  }
  return all;
}

async function exported(place: Place): Promise<string> {
  const database = await place.database();
  try {
    let text = '';
    for await (const line of exportCatalogue(database)) text += line;
    return text;
  } finally {
    await database.db.destroy();
  }
}

/** In pieces that end anywhere, within a character too. */
const inPieces = (text: string, size = 4099) =>
  async function* () {
    const bytes = Buffer.from(text);
    for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  };

async function imported(place: Place, text: string) {
  const database = await place.database();
  try {
    return await importCatalogue(database, inPieces(text));
  } finally {
    await database.db.destroy();
  }
}

describe.each(WAYS)('from $from to $to', ({ source, target }) => {
  test('every row arrives as it was, and the new catalogue goes on', async () => {
    await using old = await source();
    await using next = await target();
    const before = await old.open();
    await fill(before);
    const file = await exported(old);
    const counts = await imported(next, file);
    expect(counts).toMatchObject({ runs: 1205, leftovers: 501, claims: 3, answers: 2 });
    expect(counts).toMatchObject({ alarm_delivery: 2, agents: 2, space_samples: 2 });
    expect(await contents(next)).toEqual(await contents(old));

    const after = await next.open();
    await after.transaction(async (view) => {
      await view.putRun(runOf('new', 'waiting'));
      await view.putSet(setOf('s4', 'nightly', ['mn1']));
      await expect(view.putRun(runOf('waiting', 'running', ['LdapServer']))).rejects.toMatchObject({ code: 'LIMIT' });
    });
    expect((await after.listRuns('', { size: 2, token: '' })).items.map(({ id }) => id)).toEqual(['new', 'waiting']);
    expect((await after.waitingDeliveries()).map(({ channel }) => channel)).toEqual(['email/x/a@example.org']);
    expect(await everyPage((page) => after.listLog('r7', page))).toEqual([lineOf('r7', `${ODD_TEXT} \0 7`)]);
    const term = async (place: Place) => Number((await place.rows('SELECT term FROM leadership'))[0]?.['term']);
    expect(await term(next), 'terms never go back').toBeGreaterThan(await term(old));
  });
});

describe.each(Object.entries(KINDS))('an import into %s', (_name, kind) => {
  async function small(): Promise<string> {
    await using old = await kind();
    const store = await old.open();
    await store.transaction(async (view) => {
      for (const name of ['a', 'b', 'c']) await view.putTask(taskOf(name));
      for (const id of ['r1', 'r2']) await view.putRun(runOf(id, 'failed'));
    });
    return await exported(old);
  }

  test('takes nothing of a file that is truncated anywhere, altered, or of another version', async () => {
    const file = await small();
    const lines = file.split('\n').slice(0, -1);
    const damaged: Record<string, string> = {
      empty: '',
      'one digit': file.replace('"copies\\":2', '"copies\\":3'),
      'a row less': lines.toSpliced(2, 1).join('\n'),
      'a row twice': lines.toSpliced(2, 0, lines[2] ?? '').join('\n'),
      'rows in another order': [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n'),
      'something after its end': `${file}{}\n`,
      'two files in one': file + file,
      'no header': lines.slice(1).join('\n'),
      'an empty line': lines.toSpliced(3, 0, '').join('\n'),
      'another text': 'hello\n',
    };
    for (const cut of [1, 20, Math.floor(file.length / 2), file.length - 30, file.indexOf('\n') + 1])
      damaged[`cut at ${cut}`] = file.slice(0, cut);
    for (let count = 1; count < lines.length; count++) damaged[`${count} lines`] = `${lines.slice(0, count).join('\n')}\n`;

    await using place = await kind();
    for (const [how, text] of Object.entries(damaged)) {
      expect(text, how).not.toBe(file);
      await expect(imported(place, text), how).rejects.toMatchObject({ code: 'DAMAGED' });
    }
    for (const change of [`"schema":${SCHEMA_VERSION}`, '"version":1']) {
      const other = file.replace(change, change.replace(/\d/, '99'));
      await expect(imported(place, other)).rejects.toMatchObject({ code: 'REFUSED' });
    }
    expect(Object.values(await contents(place)).flat()).toEqual([]);
    await imported(place, file);
    expect((await contents(place))['tasks']?.length).toBe(3);
  });

  test('is refused where anything stands already', async () => {
    const file = await small();
    await using place = await kind();
    const store = await place.open();
    await store.transaction((view) => view.audit(auditOf('x')));
    await expect(imported(place, file)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await store.tasks()).toEqual([]);
    await store.transaction((view) => view.putTask(taskOf('it still leads')));
  });

  test('fences whoever leads there', async () => {
    const file = await small();
    await using place = await kind();
    const store = await place.open();
    await imported(place, file);
    await expect(store.transaction(async () => undefined)).rejects.toMatchObject({ code: 'NOT_LEADER' });
  });
});

test.each(Object.entries(KINDS))('an export of %s shows one moment, and nobody waits for it', async (_name, kind) => {
  await using place = await kind();
  const store = await place.open();
  await fill(store);
  const database = await place.database();
  const lines = exportCatalogue(database);
  const next = async () => {
    const { done, value } = await lines.next();
    return done === true ? '' : value;
  };
  const taken = [await next(), await next()];
  await store.transaction(async (view) => {
    await view.putTask(taskOf('zz later'));
    await view.putRun(runOf('later', 'waiting'));
  });
  for await (const line of lines) taken.push(line);
  expect(taken.join('')).not.toContain('later');
  expect(taken.at(-1)).toContain('"runs":1205');

  // Whoever takes the lines may go away.
  for await (const line of exportCatalogue(database)) if (line !== '') break;
  await database.db.destroy();
});
