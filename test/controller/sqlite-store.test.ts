import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import { aRun, storeContract } from './store-contract.ts';

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'holdfast-store-')), 'catalogue.sqlite');
});
afterEach(async () => {
  await rm(join(path, '..'), { recursive: true, force: true });
});

storeContract(() => openSqliteStore(path));

describe('the catalogue in SQLite', () => {
  test('keeps what was written over its closing, in WAL mode, for its owner alone', async () => {
    const store = await openSqliteStore(path);
    await store.transaction((change) => change.putRun(aRun('r1')));
    expect((await stat(path)).mode % 0o1000).toBe(0o600);
    await store.close();
    const plain = new DatabaseSync(path);
    expect(plain.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    plain.close();
    const again = await openSqliteStore(path);
    expect(await again.run('r1')).toEqual(aRun('r1'));
    await again.close();
  });

  test('is not opened by a second controller while the first has it', async () => {
    const store = await openSqliteStore(path);
    await expect(openSqliteStore(path)).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringMatching(/in use by another controller/),
    });
    await store.close();
    await (await openSqliteStore(path)).close();
  });

  test('of a newer version is refused, and left as it is', async () => {
    await (await openSqliteStore(path)).close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    await expect(openSqliteStore(path)).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringMatching(/is of version 99/),
      hint: expect.stringMatching(/newer/),
    });
    const still = new DatabaseSync(path);
    expect(still.prepare('PRAGMA user_version').get()).toEqual({ user_version: 99 });
    still.close();
  });

  test('on a full disk takes nothing, saying so, keeps what it had, and goes on when there is room', async () => {
    const mount = join(path, '..');
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
    const store = await openSqliteStore(path);
    try {
      await store.transaction((change) => change.putRun(aRun('r1')));
      const filler = join(mount, 'filler');
      await execa('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], { reject: false });
      const many = () =>
        store.transaction(async (change) => {
          for (let n = 0; n < 1000; n++) await change.putRun({ ...aRun(`full${n}`), state: 'successful' });
        });
      await expect(many()).rejects.toMatchObject({
        code: 'NO_SPACE',
        message: `write the catalogue ${path}: its disk is full`,
      });
      expect(await store.run('r1')).toEqual(aRun('r1'));
      expect(await store.run('full0')).toBeUndefined();
      await rm(filler);
      await many();
      expect(await store.run('full999')).toBeDefined();
    } finally {
      await store.close();
      await execa('umount', [mount]);
    }
  });

  test('that is no database is refused by name', async () => {
    await expect(openSqliteStore(join(path, '..'))).rejects.toThrow(/open the catalogue/);
  });

  test('answers what the engine asks at each tick by index, not from the whole history', async () => {
    await (await openSqliteStore(path)).close();
    const plain = new DatabaseSync(path);
    const planOf = (sql: string) =>
      plain
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map(({ detail }) => String(detail));
    for (const sql of [
      "SELECT body FROM runs WHERE state IN ('waiting', 'running') ORDER BY seq",
      'SELECT body FROM sets WHERE deleting = 1 ORDER BY seq LIMIT 100',
      "SELECT body FROM sets WHERE deleting = 0 AND held_by NOT LIKE '%/mn2/%' ORDER BY seq LIMIT 100",
      "SELECT body FROM sets WHERE task = 'x' AND deleting = 0 ORDER BY seq",
    ]) {
      expect(planOf(sql)[0]).toMatch(/^SEARCH \w+ USING INDEX/);
    }
    plain.close();
  });
});
