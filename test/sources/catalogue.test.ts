/** The controller's catalogue in the backup of OMS, copied while the controller writes. */
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '#common/errors.ts';
import { loadAgentConfig } from '../../agent/config.ts';
import { copyCatalogue } from '../../agent/sources/catalogue/copy.ts';
import { CATALOGUE_IN_ARCHIVE, leavingCatalogue, withCatalogue } from '../../agent/sources/catalogue/with-catalogue.ts';
import type { Source } from '../../agent/sources/source.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import { taskOf } from '../store/samples.ts';
import { createDriver } from './driver.ts';

let directory: string;
let catalogue: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-catalogue-'));
  catalogue = join(directory, 'catalogue.sqlite');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const never = new AbortController().signal;
const integrity = (path: string) => {
  const opened = new DatabaseSync(path, { readOnly: true });
  try {
    return opened.prepare('PRAGMA integrity_check').all();
  } finally {
    opened.close();
  }
};

/** As OMS without a database: one file. */
function plainSource(): Source {
  const file = join(directory, 'plain');
  const unused = () => Promise.reject(new Error('not of this test'));
  return {
    name: 'OMS',
    prepareBackup: () =>
      Promise.resolve({
        estimate: () => Promise.resolve(1n),
        backup: async () => {
          await mkdir(file, { recursive: true });
          await writeFile(join(file, 'x'), 'x');
          return { roots: [{ from: file, as: 'plain' }], facts: { own: 'kept' } };
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    planRestore: () =>
      Promise.resolve({
        steps: ['own step'],
        overwrites: [],
        mustBeStopped: [],
        refusals: [],
        warnings: [],
        neededBytes: 0n,
        freeBytes: 0n,
      }),
    prepareRestore: () =>
      Promise.resolve({
        stage: () => Promise.resolve(),
        switchOver: () => Promise.resolve(),
        check: () => Promise.resolve(['own check']),
        commit: () => Promise.resolve(),
        rollBack: unused,
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    undoRestore: unused,
    commitRestore: unused,
    removeStaged: unused,
  };
}

describe('the catalogue', () => {
  test('goes into the archive of OMS as one sound file, and a restore leaves the one in use alone', async () => {
    const store = await openSqliteStore(catalogue);
    await store.transaction((view) => view.putTask(taskOf('nightly')));
    await using driver = await createDriver(leavingCatalogue(withCatalogue(plainSource(), catalogue)));
    const kept = await driver.backUp();
    expect(kept.facts).toEqual({ own: 'kept', catalogue });
    const before = await stat(catalogue, { bigint: true });

    let held: string[] = [];
    const { checks } = await driver.restore(kept, {
      spoil: async (unpacked) => {
        held = await readdir(join(unpacked, 'catalogue'));
        const copy = join(unpacked, CATALOGUE_IN_ARCHIVE);
        expect((await stat(copy)).mode & 0o777).toBe(0o600);
        expect(integrity(copy)).toEqual([{ integrity_check: 'ok' }]);
        const opened = await openSqliteStore(copy);
        expect(await opened.task('nightly')).toEqual(taskOf('nightly'));
        await opened.close();
      },
    });
    expect(held).toEqual(['catalogue.sqlite']);
    expect(checks).toEqual(['own check']);
    expect(driver.log.join('\n')).toContain(`its copy is ${CATALOGUE_IN_ARCHIVE} in the archive of OMS`);
    expect((await driver.plan(kept)).steps).toEqual(['own step', expect.stringContaining('leave the catalogue')]);
    expect((await stat(catalogue, { bigint: true })).ino).toBe(before.ino);
    await store.close();
  });

  test('is copied as it was at one moment while it is written all the time', async () => {
    // Each pair is written in one transaction: a torn copy would hold one half of it.
    const writer = new Worker(
      `const { DatabaseSync } = require('node:sqlite');
       const { parentPort, workerData } = require('node:worker_threads');
       const db = new DatabaseSync(workerData);
       db.exec("PRAGMA journal_mode = WAL; CREATE TABLE pair (id INTEGER, side TEXT, filler TEXT)");
       const put = db.prepare('INSERT INTO pair VALUES (?, ?, ?)');
       const step = (id) => {
         db.exec('BEGIN'); put.run(id, 'a', 'x'.repeat(4000)); put.run(id, 'b', 'y'.repeat(4000)); db.exec('COMMIT');
         if (id === 500) parentPort.postMessage('warm');
         setImmediate(step, id + 1);
       };
       step(1);`,
      { eval: true, workerData: catalogue },
    );
    try {
      await once(writer, 'message');
      const copy = join(directory, 'copy.sqlite');
      await copyCatalogue(catalogue, copy, never);
      const opened = new DatabaseSync(copy, { readOnly: true });
      const [row] = opened.prepare("SELECT count(*) AS n, sum(side = 'a') AS a, max(id) AS last FROM pair").all();
      opened.close();
      expect(row?.['n']).toBe(2 * Number(row?.['last']));
      expect(row?.['a']).toBe(row?.['last']);
      expect(Number(row?.['last'])).toBeGreaterThanOrEqual(500);
    } finally {
      await writer.terminate();
    }
  });

  test('that is damaged fails the backup of OMS, by name', async () => {
    const made = new DatabaseSync(catalogue);
    made.exec('CREATE TABLE t (x TEXT); CREATE INDEX i ON t (x)');
    const put = made.prepare('INSERT INTO t VALUES (?)');
    for (let row = 0; row < 2000; row++) put.run(`row ${row} ${'x'.repeat(50)}`);
    made.close();
    const bytes = await readFile(catalogue);
    bytes.fill(0xa5, 8192, 8192 + 4096);
    await writeFile(catalogue, bytes);
    await expect(copyCatalogue(catalogue, join(directory, 'copy.sqlite'), never)).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining(catalogue) as string,
    });
  });

  test('is given up when the run is stopped', async () => {
    await writeFile(catalogue, '');
    await expect(
      copyCatalogue(catalogue, join(directory, 'copy.sqlite'), AbortSignal.abort(new AppError('STOPPED', 'stopped'))),
    ).rejects.toMatchObject({
      code: 'STOPPED',
    });
  });
});

describe('an agent whose configuration names a catalogue', () => {
  const config = async (named: string) => {
    const path = join(directory, 'agent.yaml');
    await writeFile(
      path,
      `node: dn1
controller: { address: "127.0.0.1:1" }
tls: { ca: ca.crt, cert: node.crt, key: node.key }
stateDirectory: state
sources:
  oms:
    database: { host: 127.0.0.1, user: postgres, passwordFile: /nowhere, name: oms }
    catalogue: ${named}
`,
    );
    return path;
  };

  test('starts when it can be read', async () => {
    await writeFile(catalogue, 'anything');
    expect((await loadAgentConfig(await config(catalogue))).sources.oms?.catalogue).toBe(catalogue);
  });

  test.each([
    ['that is not there', '/nowhere/catalogue.sqlite', /read the catalogue \/nowhere.*ENOENT/],
    ['that is a directory', '/tmp', /is no file/],
    ['that is no absolute path', 'catalogue.sqlite', /must be an absolute path/],
  ])('is refused at its start %s', async (_what, named, message) => {
    await expect(loadAgentConfig(await config(named))).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(message) as string,
    });
  });
});
