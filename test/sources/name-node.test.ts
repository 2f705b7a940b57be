import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNameNodeSource, nameNodeSettingsSchema } from '../../agent/sources/name-node.ts';
import { copyPoint } from '../../agent/sources/name-node/backup.ts';
import { decodeFacts } from '../../agent/sources/name-node/facts.ts';
import { waitUntilServing } from '../../agent/sources/name-node/running.ts';
import { createDriver } from './driver.ts';
import type { Kept } from './driver.ts';
import { startLab } from './lab.ts';
import type { Lab } from './lab.ts';

/** Ends them in reverse, also when a later one could not begin. */
const held = new AsyncDisposableStack();
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
const leftovers = async () => (await readdir(join(lab.directory, 'hdfs'))).filter((name) => name.includes('.holdfast-'));
const processId = async () => readFile(join(lab.directory, 'run/namenode.pid'), 'utf8');

/** As in a crash: what it leaves is a stale in_use.lock and an unfinished edit segment. */
async function kill(): Promise<void> {
  process.kill(Number(await processId()), 'SIGKILL');
  await execa(lab.bin('namenode-stop'));
}

async function firstOf(directory: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(directory)).filter((name) => pattern.test(name)).toSorted()[0];
  if (found === undefined) throw new Error(`${directory} holds nothing like ${String(pattern)}`);
  return join(directory, found);
}

/** What tells one name directory from another, and that nothing came or went in it. */
async function identity(): Promise<string> {
  const { ino } = await stat(nameDirectory);
  return `${ino} ${(await readdir(join(nameDirectory, 'current'))).toSorted().join(' ')}`;
}

/** Every start of a NameNode costs seconds: what needs none comes first, and a directory is compared before it is started. */
beforeAll(async () => {
  lab = held.use(await startLab(5000, 'hdfs'));
  nameDirectory = join(lab.directory, 'hdfs/name');
  driver = held.use(await createDriver(createNameNodeSource(settings())));
  kept = await driver.backUp();
  before = await snapshot();
}, 300_000);
afterAll(() => held.disposeAsync());

describe('a backup of the NameNode', () => {
  test.each([
    ['its tool is missing', { hdfs: '/nowhere/hdfs' }, 'TOOL', /\/nowhere\/hdfs is not installed/],
    ['its directory is none', { nameDirectory: '/nowhere' }, 'NOT_FOUND', /no name directory/],
    ['its tool is something else', { hdfs: '/bin/echo' }, 'TOOL', /\/bin\/echo for its version: it is not Hadoop's/],
    ['the NameNode does not answer', { rpcAddress: '127.0.0.1:1' }, 'TOOL', /roll the edits/],
    ['its state cannot be asked for', { httpAddress: '127.0.0.1:1' }, 'UNAVAILABLE', /where it keeps its metadata/],
  ])('fails when %s', async (_what, changes, code, words) => {
    await using broken = await createDriver(createNameNodeSource(settings(changes)));
    await expect(broken.backUp()).rejects.toMatchObject({ code, message: expect.stringMatching(words) as string });
  });

  /** Real ones cannot be had of another version, nor be made to die or hang at a chosen point: this one does, and is real in all else. */
  async function fakeHdfs(verb: string, body: string): Promise<string> {
    const path = join(lab.directory, 'fake-hdfs');
    const script = `#!/bin/sh\ncase $1 in ${verb}) ${body} ;; esac\nexec ${lab.bin('hdfs')} "$@"\n`;
    await writeFile(path, script, { mode: 0o755 });
    return path;
  }

  test('fails when its tool is of another major version, and warns of another minor one', async () => {
    const source = async (version: string) =>
      createNameNodeSource(settings({ hdfs: await fakeHdfs('version', `echo "Hadoop ${version}"; exit`) }));
    await using old = await createDriver(await source('2.10.1'));
    await expect(old.backUp()).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringMatching(/fake-hdfs is of Hadoop 2\.10\.1, and the NameNode of 3\./) as string,
      hint: expect.stringContaining('nameNode.hdfs') as string,
    });
    await using newer = await createDriver(await source('3.99.0'));
    await newer.backUp();
    expect(newer.log.join('\n')).toMatch(/warn: .*is of Hadoop 3\.99\.0, and the NameNode of 3\./);
    expect(driver.log.join('\n')).not.toContain('warn: ');
  });

  test.each([
    ['dfsadmin', 'dies', 'roll the edits'],
    ['oiv', 'dies', 'read the image'],
    ['oev', 'dies', 'read the edits'],
    ['dfsadmin', 'hangs', 'roll the edits'],
    ['oev', 'hangs', 'read the edits'],
  ])('fails when `hdfs %s` %s', async (verb, how, doing) => {
    const hdfsTool = await fakeHdfs(verb, how === 'dies' ? 'echo "no memory" >&2; kill -9 $$' : 'sleep 600');
    // What does not hang is a Java machine on a busy computer: time enough for that.
    await using broken = await createDriver(createNameNodeSource(settings({ hdfs: hdfsTool, timeout: '10s' })));
    await expect(broken.backUp()).rejects.toMatchObject({
      code: how === 'dies' ? 'TOOL' : 'TIMEOUT',
      message: expect.stringMatching(
        how === 'dies' ? new RegExp(`^${doing}.*killed by SIGKILL: no memory`) : new RegExp(`^${doing}.*did not end within`),
      ) as string,
    });
  });

  test('fails when the task is of another NameService than the node, and takes its own', async () => {
    await using own = await createDriver(createNameNodeSource(settings({ nameService: 'ns1' })));
    await expect(own.backUp({ nameService: 'hacluster' })).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringMatching(/"hacluster", and that of this node is ns1/) as string,
    });
    await own.backUp({ nameService: 'ns1' });
    await expect(driver.backUp({ nameService: 'ns1' })).rejects.toThrow('that of this node is hacluster');
  });

  test('fails when the NameNode does not use the directory, however whole it looks', async () => {
    const copy = join(lab.directory, 'copied-name');
    await execa('cp', ['-a', nameDirectory, copy]);
    await using other = await createDriver(createNameNodeSource(settings({ nameDirectory: copy })));
    await expect(other.backUp()).rejects.toMatchObject({ code: 'REFUSED', message: expect.stringContaining(copy) as string });
  });

  test('fails when a transaction is missing between image and end', async () => {
    const segments = (await readdir(join(nameDirectory, 'current'))).filter((name) => /^edits_\d+-\d+$/.test(name)).toSorted();
    const newest = join(nameDirectory, 'current', segments.at(-1) ?? '');
    await rename(newest, `${newest}.kept`);
    await expect(driver.backUp()).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('are missing') as string,
    });
    await rename(`${newest}.kept`, newest);
  });

  test('is taken without safe mode, while HDFS serves', async () => {
    const backup = driver.backUp();
    await hdfs('dfs', '-touchz', '/written-meanwhile');
    await backup;
  });

  test('begins with the newer image when a checkpoint removes files between listing and copying', async () => {
    // A checkpoint cannot be made to come just then; to the copy it is files that are gone, and a newer image.
    const from = join(lab.directory, 'checkpoint');
    const image = (txid: number) => [`fsimage_${txid}`, `fsimage_${txid}.md5`].map((name) => join(from, name));
    await mkdir(from);
    for (const path of [...image(4), join(from, 'edits_5-9')]) await writeFile(path, '');
    const to = join(lab.directory, 'checkpoint-copied');
    const io = {
      workDirectory: lab.directory,
      signal: new AbortController().signal,
      progress: () => undefined,
      log: () => [...image(9), join(from, 'VERSION')].forEach((path) => writeFileSync(path, '')),
    };
    expect(await copyPoint(from, to, 9n, io)).toMatchObject({ image: 'fsimage_9', segments: [], lastTxid: 9n });
    expect((await readdir(to)).toSorted()).toEqual(['VERSION', 'fsimage_9', 'fsimage_9.md5']);
  });
});

describe('the old name directory', () => {
  const image = (unpacked: string) => firstOf(current(unpacked), /^fsimage_\d+$/);
  const segment = (unpacked: string) => firstOf(current(unpacked), /^edits_\d+-\d+$/);

  test.each([
    ['the fsimage is truncated', 'DAMAGED', async (dir: string) => truncate(await image(dir), 1000)],
    ['a byte of the fsimage is altered', 'DAMAGED', async (dir: string) => alter(await image(dir))],
    ['an edit segment is missing', 'DAMAGED', async (dir: string) => rm(await segment(dir))],
    ['an edit segment is damaged', 'TOOL', async (dir: string) => alter(await segment(dir))],
    ['an edit segment ends between two transactions', 'DAMAGED', async (dir: string) => dropLastTransaction(await segment(dir))],
    ['there is no image', 'DAMAGED', async (dir: string) => rm(await image(dir))],
    ['VERSION is that of another cluster', 'DAMAGED', async (dir: string) => nameCluster(current(dir, 'VERSION'), 'CID-other')],
  ])('is not touched when %s', async (_what, code, spoil) => {
    const was = await identity();
    await expect(driver.restore(kept, { spoil })).rejects.toMatchObject({ code });
    expect(await leftovers()).toEqual([]);
    expect(await identity()).toBe(was);
  });

  test('is not touched when the tool that reads the image hangs', async () => {
    const was = await identity();
    const hdfsTool = join(lab.directory, 'hanging-hdfs');
    await writeFile(hdfsTool, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
    await using hanging = await createDriver(createNameNodeSource(settings({ hdfs: hdfsTool, timeout: '1s' })));
    await expect(hanging.restore(kept)).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await leftovers()).toEqual([]);
    expect(await identity()).toBe(was);
  });

  test('is not replaced while a NameNode runs on it', async () => {
    const was = await identity();
    const plan = await driver.plan(kept);
    expect(plan.mustBeStopped.join()).toContain('NameNode');
    expect(plan.refusals.join()).toContain('in_use.lock');
    await expect(driver.restore(kept)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await leftovers()).toEqual([]);
    expect(await identity()).toBe(was);
  });

  test('is not replaced when it is of another cluster', async () => {
    const version = join(nameDirectory, 'current/VERSION');
    const own = await readFile(version, 'utf8');
    await nameCluster(version, 'CID-somebody-else');
    expect((await driver.plan(kept)).refusals.join()).toContain('CID-somebody-else');
    await writeFile(version, own);
  });

  test('is not replaced where the NameNode would start from newer edits that are kept beside', async () => {
    const second = join(lab.directory, 'hdfs/second');
    await mkdir(join(second, 'current'), { recursive: true });
    const planOf = async (facts: Record<string, string>) =>
      (await driver.plan({ ...kept, facts: { ...kept.facts, ...facts } })).refusals;
    expect((await planOf({ directories: JSON.stringify([nameDirectory, second]) })).join()).toContain(`in ${second} too`);
    await rm(second, { recursive: true });
    expect((await planOf({ directories: JSON.stringify([nameDirectory, second]) })).join()).not.toContain(second);
    expect((await planOf({ journals: '["QJM to [10.0.0.1:8485]"]' })).join()).toContain('QJM to');
  });
});

describe('the NameNode', () => {
  test('is restored into another directory without touching what runs, even when it is undone', async () => {
    const pid = await processId();
    const directory = join(lab.directory, 'another-name-directory');
    const { checks, undo } = await driver.restore(kept, { changes: { directory } });
    expect(checks.join()).toContain('readable offline');
    expect(await readFile(join(directory, 'current/seen_txid'), 'utf8')).toBe(`${kept.facts['lastTxid']}\n`);
    await driver.undo(undo ?? {});
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
    expect(await processId()).toBe(pid);
    await hdfs('dfs', '-test', '-e', '/written-meanwhile');
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

  test('is rolled back when the restored one does not start', async () => {
    await kill();
    const was = await identity();
    await using failing = await createDriver(createNameNodeSource(settings({ start: ['/bin/false'] })));
    await expect(failing.restore(kept)).rejects.toThrow('start the NameNode');
    expect(await leftovers()).toEqual([]);
    expect(await identity()).toBe(was);
  });

  test('is rolled back by the journal when the agent dies between switch and commit, however often it is told', async () => {
    const was = await identity();
    const { undo } = await driver.restore(kept, { dieAfterSwitch: true });
    expect(await identity()).not.toBe(was);
    for (let n = 0; n < 2; n++) await driver.undo(undo ?? {});
    expect(await leftovers()).toEqual([]);
    expect(await identity()).toBe(was);
  });

  test('is rolled back when it starts on a directory that was not restored, and comes back when that is restored too', async () => {
    const second = join(lab.directory, 'hdfs/second');
    await execa('cp', ['-a', nameDirectory, second]);
    await execa('sed', [
      '-i',
      `s#>${nameDirectory}<#>${nameDirectory},${second}<#`,
      join(lab.directory, 'hdfs/conf/hdfs-site.xml'),
    ]);
    const was = await identity();
    await expect(driver.restore(kept)).rejects.toThrow(`and what was restored is ${nameDirectory}`);
    expect(await leftovers()).toEqual([]);
    expect(await identity()).toBe(was);

    await using both = await createDriver(createNameNodeSource(settings({ otherNameDirectories: [second] })));
    await both.restore(kept);
    expect(await snapshot()).toBe(before);
    expect(await leftovers()).toEqual([]);
  });

  test('goes back to the backup without configured commands, checked offline and started by a person', async () => {
    await hdfs('dfs', '-mkdir', '/made-later');
    await kill();
    await lab.run('down', 'hdfs');
    await rm(join(lab.directory, 'hdfs/second'), { recursive: true });
    await using manual = await createDriver(createNameNodeSource(settings({ start: undefined, stop: undefined })));
    const { checks } = await manual.restore(kept);
    expect(checks.join()).toContain('readable offline');
    await lab.run('up', 'hdfs');
    expect(await snapshot()).toBe(before);
  });
});

describe('a NameNode without DataNodes', () => {
  test('counts as restored when it has loaded everything and waits for them', async () => {
    // Only what /jmx would show: a real one would have to be waited for.
    const beans = {
      NameNodeInfo: { ClusterId: 'CID', Safemode: 'Safe mode is ON.' },
      FSNamesystem: { LastWrittenTransactionId: '9' },
    };
    const counts = { FilesTotal: 3, MissingBlocks: 0, NumLiveDataNodes: 0 };
    const server = createServer((request, response) => {
      const bean = request.url?.endsWith('NameNodeInfo') === true ? beans.NameNodeInfo : { ...beans.FSNamesystem, ...counts };
      response.end(JSON.stringify({ beans: [bean] }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    let ms = 0;
    const clock = { machine: '', now: () => ms, monotonic: () => ms, sleep: async (more: number) => void (ms += more) };
    const facts = decodeFacts({ ...kept.facts, clusterId: 'CID', lastTxid: '9' });
    const wait = async () =>
      waitUntilServing(settings({ httpAddress: `127.0.0.1:${port}` }), facts, clock, new AbortController().signal);
    expect((await wait()).join()).toContain('no DataNode has reported yet');
    expect(ms).toBeGreaterThanOrEqual(60_000);
    counts.NumLiveDataNodes = 1;
    await expect(wait()).rejects.toMatchObject({ code: 'TIMEOUT' });
    server.close();
  });
});

async function nameCluster(version: string, name: string): Promise<void> {
  await writeFile(version, (await readFile(version, 'utf8')).replace(/^clusterID=.*$/m, `clusterID=${name}`));
}

async function alter(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  await writeFile(path, bytes);
}

/** The last one ends the segment; it has no content: code, length, transaction, checksum. */
async function dropLastTransaction(path: string): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, bytes.length - (1 + 4 + 8 + 4)));
}
