/** What backups leave in HDFS, and what becomes of it: kept, given up, lost, in the way of one another. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebHdfs } from '../../../agent/hdfs/webhdfs.ts';
import type { WebHdfs } from '../../../agent/hdfs/webhdfs.ts';
import { openAllowed } from '../../../agent/sources/hdfs/allowed.ts';
import { hdfsSettingsSchema } from '../../../agent/sources/hdfs/settings.ts';
import { createSnapshots } from '../../../agent/sources/hdfs/snapshots.ts';
import { surveyHdfs } from '../../../agent/sources/hdfs/survey.ts';
import { startLab } from '../lab.ts';
import { createPoints, never, selectionOf, TASK } from './points.ts';

const OFFSET = 9300;
const ADDRESS = `127.0.0.1:${19_870 + OFFSET}`;
const OTHER = { name: 'other_task', createdMs: TASK.createdMs };
const settings = hdfsSettingsSchema.parse({ addresses: [ADDRESS], user: 'root' });
const held = new AsyncDisposableStack();
let hdfs: WebHdfs;
let points: Awaited<ReturnType<typeof createPoints>>;

beforeAll(async () => {
  held.use(await startLab(OFFSET, 'hdfs'));
  hdfs = held.use(createWebHdfs({ addresses: [ADDRESS], user: 'root', connections: 16 }));
  points = held.use(await createPoints(settings));
}, 300_000);
afterAll(() => held.disposeAsync());

const write = (path: string, text: string) => hdfs.create(path, Buffer.from(text), { mode: 0o640, overwrite: true }, never);
const snapshottable = async () => (await hdfs.snapshottableDirectories(never)).map(({ path }) => path).toSorted();
const snapshotsOf = async (path: string) => (await hdfs.snapshots(path, never)).map(({ name }) => name);
const release = async (task = TASK) =>
  createSnapshots(hdfs, openAllowed(points.stateDirectory), await points.io()).giveUp(task, (all) => all);

describe('a base', () => {
  test('whose snapshot is gone makes a full backup, which says so', async () => {
    await write('/gone/f', 'one');
    const before = await points.make(selectionOf({ paths: ['/gone'] }));
    const [name = ''] = await snapshotsOf('/gone');
    await hdfs.deleteSnapshot('/gone', name, never);
    const after = await points.make(selectionOf({ paths: ['/gone'] }), before.base);
    expect(after.fullBecause).toBe(`the snapshot ${name} of /gone is gone`);
    expect(after.base.references).toEqual([]);
    await release();
  });

  test('whose snapshot is another one of the same name makes a full backup', async () => {
    await write('/replaced/f', 'one');
    const before = await points.make(selectionOf({ paths: ['/replaced'] }));
    const [name = ''] = await snapshotsOf('/replaced');
    await hdfs.deleteSnapshot('/replaced', name, never);
    await write('/replaced/f', 'two');
    await hdfs.createSnapshot('/replaced', name, never);
    const after = await points.make(selectionOf({ paths: ['/replaced'] }), before.base);
    expect(after.fullBecause).toContain('is gone');
    expect((await points.contents(after)).get('/replaced/f')?.toString()).toBe('two');
    await release();
  });

  test('of another directory of that path is none: it is made full', async () => {
    await write('/anew/f', 'one');
    const before = await points.make(selectionOf({ paths: ['/anew'] }));
    await release();
    await hdfs.delete('/anew', never);
    await write('/anew/f', 'two');
    const after = await points.make(selectionOf({ paths: ['/anew'] }), before.base);
    expect(after.fullBecause).toContain('is gone');
    expect((await points.contents(after)).get('/anew/f')?.toString()).toBe('two');
    await release();
  });

  test('lets an incremental say beforehand how much it will read', async () => {
    await write('/estimated/large', 'x'.repeat(100_000));
    const selection = selectionOf({ paths: ['/estimated'] });
    const before = await points.make(selection);
    await write('/estimated/new', 'y'.repeat(10));
    await using prepared = await points.prepare(points.requestOf(selection, before.base));
    expect(await prepared.estimate()).toBe(10n);
    await release();
  });
});

describe('the snapshots of a task', () => {
  test('stay as many as are to be kept beside the new one, and release leaves HDFS as it was', async () => {
    await hdfs.makeDirectory('/foreign', 0o755, never);
    await hdfs.allowSnapshot('/foreign', never);
    await write('/kept/f', 'one');
    const asBefore = await snapshottable();
    const selection = selectionOf({ paths: ['/kept', '/foreign'], keptSnapshots: 1 });
    for (let i = 0; i < 4; i++) await points.make(selection);
    expect(await snapshotsOf('/kept')).toHaveLength(2);
    expect(await snapshotsOf('/foreign')).toHaveLength(2);
    expect(await release()).toHaveLength(4);
    expect(await snapshottable()).toEqual(asBefore);
    expect(await snapshotsOf('/foreign')).toEqual([]);
    expect(await release()).toEqual([]);
    await hdfs.disallowSnapshot('/foreign', never);
  });

  test('go from a directory that is not selected any more', async () => {
    await write('/left/f', 'one');
    await write('/stays/f', 'one');
    const before = await points.make(selectionOf({ paths: ['/left', '/stays'] }));
    const after = await points.make(selectionOf({ paths: ['/stays'] }), before.base);
    expect(after.fullBecause).toBeUndefined();
    expect(after.entries.map(({ path }) => path)).toEqual(['/stays', '/stays/f']);
    expect(await snapshottable()).toEqual(['/stays']);
    await release();
  });

  test('stay where someone else has one, too, and so does the permission', async () => {
    await write('/shared/f', 'one');
    await points.make(selectionOf({ paths: ['/shared'] }));
    await hdfs.createSnapshot('/shared', 'mine', never);
    await release();
    expect(await snapshotsOf('/shared')).toEqual(['mine']);
    await hdfs.deleteSnapshot('/shared', 'mine', never);
    await hdfs.disallowSnapshot('/shared', never);
  });

  test('of a run that was stopped go, though nothing more is done by its signal', async () => {
    await write('/stopped/f', 'one');
    const control = new AbortController();
    const prepared = await points.prepare(points.requestOf(selectionOf({ paths: ['/stopped'] }), undefined), control.signal);
    expect(await snapshotsOf('/stopped')).toHaveLength(1);
    control.abort();
    await prepared[Symbol.asyncDispose]();
    expect(await snapshottable()).toEqual([]);
  });

  test('of a run whose agent died go, and those of an earlier run stay', async () => {
    await write('/died/f', 'one');
    const selection = selectionOf({ paths: ['/died'] });
    await points.make(selection);
    const earlier = await snapshotsOf('/died');
    const request = points.requestOf(selection, undefined);
    const prepared = await points.prepare(request);
    expect(await snapshotsOf('/died')).toHaveLength(2);
    await points.abandon(request);
    await points.abandon(request);
    expect(await snapshotsOf('/died')).toEqual(earlier);
    await release();
    await prepared[Symbol.asyncDispose]();
    expect(await snapshottable()).toEqual([]);
  });

  test('are disallowed again when the agent died before it took the first', async () => {
    await hdfs.makeDirectory('/intended', 0o755, never);
    await openAllowed(points.stateDirectory).add('/intended');
    await hdfs.allowSnapshot('/intended', never);
    await points.abandon(points.requestOf(selectionOf({ paths: ['/intended'] }), undefined));
    expect(await snapshottable()).toEqual([]);
    expect(await openAllowed(points.stateDirectory).list()).toEqual([]);
  });
});

describe('nested directories of two tasks', () => {
  test('have their snapshots taken of the outer one when it had them first', async () => {
    await write('/outer/inner/f', 'one');
    await write('/outer/g', 'two');
    await points.make(selectionOf({ paths: ['/outer'] }));
    const inner = await points.make(selectionOf({ paths: ['/outer/inner'] }), undefined, OTHER);
    expect(inner.entries.map(({ path }) => path)).toEqual(['/outer/inner', '/outer/inner/f']);
    expect(points.log).toContain('info: the snapshot is taken of /outer');
    await release();
    expect(await snapshotsOf('/outer')).toHaveLength(1);
    await release(OTHER);
    expect(await snapshottable()).toEqual([]);
  });

  test('are refused by name, before anything is done, when the inner one had them first', async () => {
    await write('/above/inner/f', 'one');
    await points.make(selectionOf({ paths: ['/above/inner'] }));
    const selection = selectionOf({ paths: ['/above', '/nowhere'] });
    const refused = points.make(selection, undefined, OTHER);
    await expect(refused).rejects.toMatchObject({ code: 'REFUSED', message: expect.stringContaining('/above/inner') as string });
    expect(await snapshottable()).toEqual(['/above/inner']);
    const { faults } = await surveyHdfs(settings, { ...selection, nameService: 'elsewhere' }, await points.io());
    expect(faults).toEqual([
      'the NameService is hacluster here, and not elsewhere',
      '/nowhere does not exist',
      expect.stringContaining('/above/inner below it may have snapshots'),
    ]);
    await release();
    expect(await snapshottable()).toEqual([]);
  });
});

describe('a selection', () => {
  test('of patterns and without what is excluded follows the tree, as new directories appear', async () => {
    for (const path of ['db1/t', 'db2/t', 'db2/t.tmp', 'xdb3/t']) await write(`/warehouse/${path}`, path);
    const selection = selectionOf({
      patterns: [{ parent: '/warehouse', regex: 'db[0-9]+' }],
      excludes: [String.raw`.*\.tmp`],
      snapshotRoots: ['/warehouse'],
    });
    const before = await points.make(selection);
    expect([...(await points.contents(before)).keys()]).toEqual(['/warehouse/db1/t', '/warehouse/db2/t']);
    expect(await snapshottable()).toEqual(['/warehouse']);
    await write('/warehouse/db4/t', 'new');
    await hdfs.delete('/warehouse/db1', never);
    const after = await points.make(selection, before.base);
    expect(after.fullBecause).toBeUndefined();
    expect(after.entries.map(({ path, content }) => `${path} ${content?.in ?? '-'}`)).toEqual([
      '/warehouse/db2 -',
      '/warehouse/db2/t 1',
      '/warehouse/db4 -',
      '/warehouse/db4/t 0',
    ]);
    await release();
  });

  test("does not reach into HDFS's own directories: a pattern passes them by, and a path is told", async () => {
    for (const path of ['.Trash/Current/f', 'data/f']) await write(`/home/alice/${path}`, 'x');
    const selection = selectionOf({ paths: ['/home/alice/.Trash/Current'], patterns: [{ parent: '/home/alice', regex: '.*' }] });
    const { faults, matches } = await surveyHdfs(settings, selection, await points.io());
    expect(faults).toEqual([expect.stringContaining('/home/alice/.Trash/Current')]);
    expect(matches).toEqual([{ path: '/home/alice/data', files: 1n, directories: 1n, bytes: 1n }]);
  });

  test('of nothing that is there fails the run, and names it', async () => {
    const failing = points.make(selectionOf({ paths: ['/not/there'] }));
    await expect(failing).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'nothing in HDFS is selected; /not/there does not exist',
    });
  });
});
