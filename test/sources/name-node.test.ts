import { copyFile, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNameNodeSource, nameNodeSettingsSchema } from '../../agent/sources/name-node.ts';
import { createDriver } from './driver.ts';
import type { Kept } from './driver.ts';
import { startLab } from './lab.ts';
import type { Lab } from './lab.ts';

let lab: Lab;
let kept: Kept;
let before: string;
let driver: Awaited<ReturnType<typeof createDriver>>;
let nameDirectory: string;

function settings(changes: Record<string, unknown> = {}) {
  return nameNodeSettingsSchema.parse({
    httpAddress: `127.0.0.1:${19870 + lab.offset}`,
    rpcAddress: `127.0.0.1:${19000 + lab.offset}`,
    nameDirectory,
    hdfs: lab.bin('hdfs'),
    start: [lab.bin('namenode-start')],
    stop: [lab.bin('namenode-stop')],
    user: 'root',
    timeout: '60s',
    ...changes,
  });
}

async function snapshot(): Promise<string> {
  await lab.run('snapshot', join(lab.directory, 'shot'), 'hdfs');
  return readFile(join(lab.directory, 'shot/namenode.txt'), 'utf8');
}

const hdfs = (...args: readonly string[]) => execa(lab.bin('hdfs'), args);
const current = (unpacked: string, file = '') => join(unpacked, 'namenode/current', file);
const leftovers = async () => (await readdir(join(nameDirectory, '..'))).filter((name) => name.includes('.holdfast-'));

async function firstOf(directory: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(directory)).filter((name) => pattern.test(name)).toSorted()[0];
  if (found === undefined) throw new Error(`${directory} holds nothing like ${String(pattern)}`);
  return join(directory, found);
}

beforeAll(async () => {
  lab = await startLab(5000, 'hdfs');
  nameDirectory = join(lab.directory, 'hdfs/name');
  driver = await createDriver(createNameNodeSource(settings()));
  kept = await driver.backUp();
  before = await snapshot();
}, 300_000);
afterAll(async () => {
  await driver[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

describe('the NameNode', () => {
  test('is not restored while it runs', async () => {
    const plan = await driver.plan(kept);
    expect(plan.mustBeStopped.join()).toContain('NameNode');
    expect(plan.refusals.join()).toContain('in_use.lock');
    await expect(driver.restore(kept)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await leftovers()).toEqual([]);
    expect(await snapshot()).toBe(before);
  });

  test('serves while it is backed up, without safe mode', async () => {
    const backup = driver.backUp();
    await hdfs('dfs', '-touchz', '/written-meanwhile');
    await backup;
    await hdfs('dfs', '-rm', '-skipTrash', '/written-meanwhile');
  });

  test('comes back after its directory was destroyed, with what was written after the last checkpoint', async () => {
    expect(before).toContain('/after-the-checkpoint');
    expect(kept.facts['lastTxid']).not.toBe(kept.facts['imageTxid']);
    await lab.run('destroy', 'hdfs');
    const { checks } = await driver.restore(kept);
    expect(checks.join('\n')).toContain('0 missing blocks');
    expect(await snapshot()).toBe(before);
    expect(await leftovers()).toEqual([]);
  });

  test('goes back to the backup when files were changed since, and the replaced directory is gone after commit', async () => {
    await hdfs('dfs', '-mkdir', '/made-later');
    await execa(lab.bin('namenode-stop'));
    await driver.restore(kept);
    expect(await snapshot()).toBe(before);
    expect(await leftovers()).toEqual([]);
  });

  test('is restored into another directory without touching what runs', async () => {
    const directory = join(lab.directory, 'another-name-directory');
    const { checks } = await driver.restore(kept, { changes: { directory } });
    expect(checks.join()).toContain('readable offline');
    expect(await readFile(join(directory, 'current/seen_txid'), 'utf8')).toBe(`${kept.facts['lastTxid']}\n`);
    expect(await snapshot()).toBe(before);
    await rm(directory, { recursive: true });
  });

  test('without configured commands is checked offline, and left for a person to start', async () => {
    await execa(lab.bin('namenode-stop'));
    await using manual = await createDriver(createNameNodeSource(settings({ start: undefined, stop: undefined })));
    const { checks } = await manual.restore(kept);
    expect(checks.join()).toContain('readable offline');
    await execa(lab.bin('namenode-start'));
    expect(await snapshot()).toBe(before);
  });
});

describe('the old name directory', () => {
  test.each([
    ['the fsimage is truncated', async (dir: string) => truncate(await firstOf(current(dir), /^fsimage_\d+$/), 1000)],
    ['a byte of the fsimage is altered', async (dir: string) => alter(await firstOf(current(dir), /^fsimage_\d+$/))],
    ['an edit segment is missing', async (dir: string) => rm(await firstOf(current(dir), /^edits_\d+-\d+$/))],
    ['an edit segment is damaged', async (dir: string) => alter(await firstOf(current(dir), /^edits_\d+-\d+$/))],
    ['there is no image', async (dir: string) => rm(await firstOf(current(dir), /^fsimage_\d+$/))],
  ])('is not touched when %s', async (_what, spoil) => {
    await execa(lab.bin('namenode-stop'));
    await expect(driver.restore(kept, { spoil })).rejects.toMatchObject({ name: 'AppError' });
    expect(await leftovers()).toEqual([]);
    await execa(lab.bin('namenode-start'));
    expect(await snapshot()).toBe(before);
  });

  test('comes back when the restored NameNode does not start', async () => {
    await execa(lab.bin('namenode-stop'));
    await using failing = await createDriver(createNameNodeSource(settings({ start: ['/bin/false'] })));
    await expect(failing.restore(kept)).rejects.toThrow('start the NameNode');
    expect(await leftovers()).toEqual([]);
    await execa(lab.bin('namenode-start'));
    expect(await snapshot()).toBe(before);
  });

  test('comes back by the journal when the agent dies between switch and commit, however often it is told', async () => {
    await execa(lab.bin('namenode-stop'));
    const { undo } = await driver.restore(kept, { dieAfterSwitch: true });
    for (let n = 0; n < 2; n++) await driver.undo(undo ?? {});
    expect(await leftovers()).toEqual([]);
    await execa(lab.bin('namenode-start'));
    expect(await snapshot()).toBe(before);
  });

  test('of another cluster is not overwritten', async () => {
    await execa(lab.bin('namenode-stop'));
    const version = join(nameDirectory, 'current/VERSION');
    await copyFile(version, `${version}.kept`);
    await writeFile(version, (await readFile(version, 'utf8')).replace(/^clusterID=.*$/m, 'clusterID=CID-somebody-else'));
    expect((await driver.plan(kept)).refusals.join()).toContain('CID-somebody-else');
    await copyFile(`${version}.kept`, version);
    await rm(`${version}.kept`);
    await execa(lab.bin('namenode-start'));
  });
});

describe('a backup of the NameNode', () => {
  test.each([
    ['its tool is missing', { hdfs: '/nowhere/hdfs' }, 'TOOL', /\/nowhere\/hdfs is not installed/],
    ['its directory is none', { nameDirectory: '/nowhere' }, 'NOT_FOUND', /no name directory/],
    ['the NameNode does not answer', { rpcAddress: '127.0.0.1:1' }, 'TOOL', /roll the edits/],
  ])('fails when %s', async (_what, changes, code, words) => {
    await using broken = await createDriver(createNameNodeSource(settings(changes)));
    await expect(broken.backUp()).rejects.toMatchObject({ code, message: expect.stringMatching(words) as string });
  });

  test('fails when a transaction is missing between image and end', async () => {
    const segment = await firstOf(join(nameDirectory, 'current'), /^edits_\d+-\d+$/);
    const segments = (await readdir(join(nameDirectory, 'current'))).filter((name) => /^edits_\d+-\d+$/.test(name)).toSorted();
    const newest = join(nameDirectory, 'current', segments.at(-1) ?? segment);
    await copyFile(newest, `${newest}.kept`);
    await rm(newest);
    await expect(driver.backUp()).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('are missing') as string,
    });
    await copyFile(`${newest}.kept`, newest);
    await rm(`${newest}.kept`);
  });
});

async function alter(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  await writeFile(path, bytes);
}
