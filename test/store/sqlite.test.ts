import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import { storeContract } from './contract.ts';
import { sqliteHome } from './homes.ts';
import { runOf } from './samples.ts';

storeContract('SQLite', sqliteHome);

test('the catalogue on a full disk takes nothing, saying so, keeps what it had, and goes on when there is room', async () => {
  const mount = await mkdtemp(join(tmpdir(), 'holdfast-store-'));
  const path = join(mount, 'catalogue.sqlite');
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
  const store = await openSqliteStore(path);
  try {
    await store.transaction((change) => change.putRun(runOf('r1', 'waiting')));
    const filler = join(mount, 'filler');
    await execa('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], { reject: false });
    const many = () =>
      store.transaction(async (change) => {
        for (let n = 0; n < 1000; n++) await change.putRun(runOf(`full${n}`, 'successful'));
      });
    await expect(many()).rejects.toMatchObject({ code: 'NO_SPACE', message: expect.stringContaining(path) as string });
    expect(await store.run('r1')).toEqual(runOf('r1', 'waiting'));
    expect(await store.run('full0')).toBeUndefined();
    await rm(filler);
    await many();
    expect(await store.run('full999')).toBeDefined();
  } finally {
    await store.close();
    await execa('umount', [mount]);
    await rm(mount, { recursive: true });
  }
});
