/** The client against a real HDFS: names, the tree, attributes, snapshots, and what HDFS refuses. */
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FileStatus, WebHdfs } from '../../agent/hdfs/webhdfs.ts';
import { createWebHdfs } from '../../agent/hdfs/webhdfs.ts';
import { startLab } from '../sources/lab.ts';
import { startLossy } from './lossy.ts';
import type { Lossy } from './lossy.ts';
import { ODD_NAMES } from './names.ts';

const OFFSET = 8000;
const PORT = 19_870 + OFFSET;
const never = new AbortController().signal;
const held = new AsyncDisposableStack();
let hdfs: WebHdfs;
/** The same HDFS, over a network that loses what it is told to. */
let unlucky: WebHdfs;
let network: Lossy;

beforeAll(async () => {
  held.use(await startLab(OFFSET, 'hdfs'));
  hdfs = held.use(client([`127.0.0.1:${PORT}`]));
  network = held.use(await startLossy(PORT));
  unlucky = held.use(client([network.address]));
}, 300_000);
afterAll(() => held.disposeAsync());

function client(addresses: readonly string[], user = 'root', more: { silenceMs?: number; patienceMs?: number } = {}): WebHdfs {
  return createWebHdfs({ addresses, user, connections: 8, ...more });
}
const write = (path: string, text: string, overwrite = false) =>
  hdfs.create(path, Buffer.from(text), { mode: 0o640, overwrite }, never);
const read = async (path: string, offset: bigint, length: bigint) =>
  Buffer.concat(await (await hdfs.open(path, offset, length, never)).toArray()).toString();
async function list(path: string): Promise<FileStatus[]> {
  const found: FileStatus[] = [];
  for await (const status of hdfs.list(path, never)) found.push(status);
  return found;
}
const names = async (path: string) => (await list(path)).map(({ name }) => name);

describe('a name', () => {
  test.each(ODD_NAMES)('of any kind works in every call: %j', async (name) => {
    const root = `/names/${ODD_NAMES.indexOf(name)}`;
    const directory = `${root}/${name}`;
    const path = `${directory}/${name}`;
    await hdfs.makeDirectory(directory, 0o755, never);
    await write(path, 'content');
    expect(await names(root)).toEqual([name]);
    expect((await hdfs.status(path, never)).size).toBe(7n);
    expect(await read(path, 3n, 2n)).toBe('te');
    expect(await read(`/.reserved/raw${path}`, 0n, 7n)).toBe('content');
    await hdfs.setOwner(path, 'bob', 'staff', never);
    await hdfs.setXattr(path, 'user.k', Buffer.from([0, 255]), never);
    expect(await hdfs.xattrs(path, never)).toEqual({ 'user.k': Buffer.from([0, 255]) });
    expect(await hdfs.acl(path, never)).toEqual([]);
    expect(await hdfs.checksum(path, never)).toMatch(/^[0-9a-f]+$/);
    expect((await hdfs.summary(directory, never)).files).toBe(1n);
    await hdfs.allowSnapshot(directory, never);
    await hdfs.createSnapshot(directory, 'one', never);
    await hdfs.rename(path, `${directory}/${name.replace(/^./su, '')}~`, never);
    await hdfs.createSnapshot(directory, 'two', never);
    expect(await read(`${directory}/.snapshot/one/${name}`, 0n, 7n)).toBe('content');
    const renamed: string[] = [];
    for await (const told of hdfs.snapshotDiff(directory, 'one', 'two', never))
      if (told.target !== undefined) renamed.push(told.path);
    expect(renamed).toEqual([name]);
    await hdfs.deleteSnapshot(directory, 'one', never);
    await hdfs.deleteSnapshot(directory, 'two', never);
    await hdfs.disallowSnapshot(directory, never);
    expect(await hdfs.delete(directory, never)).toBe(true);
    expect(await names(root)).toEqual([]);
  });

  test('that would lead elsewhere is no name', async () => {
    await expect(hdfs.delete('/names/../data', never)).rejects.toMatchObject({ code: 'INVALID' });
  });
});

describe('the tree', () => {
  test('is listed page after page, in the order of HDFS', async () => {
    const wanted = Array.from({ length: 1_010 }, (_, i) => `d ${i}%+`).concat('é', '😀', 'Z');
    for (let at = 0; at < wanted.length; at += 50)
      await Promise.all(wanted.slice(at, at + 50).map((name) => hdfs.makeDirectory(`/pages/${name}`, 0o755, never)));
    const signed = (name: string) => new Int8Array(Buffer.from(name));
    const byHdfs = (a: string, b: string) => {
      const [x, y] = [signed(a), signed(b)];
      for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return (x[i] ?? 0) - (y[i] ?? 0);
      return x.length - y.length;
    };
    expect(await names('/pages')).toEqual(wanted.toSorted(byHdfs));
  });

  test('says of a file what it is', async () => {
    await hdfs.create(
      '/what',
      Buffer.from('12345'),
      { mode: 0o640, overwrite: false, replication: 3, blockSize: 1_048_576n },
      never,
    );
    await hdfs.setTimes('/what', 1_600_000_000_001, 1_600_000_000_002, never);
    expect(await hdfs.status('/what', never)).toMatchObject({
      name: '',
      type: 'file',
      size: 5n,
      owner: 'root',
      group: 'supergroup',
      mode: 0o640,
      modifiedMs: 1_600_000_000_001,
      accessMs: 1_600_000_000_002,
      replication: 3,
      blockSize: 1_048_576n,
      hasAcl: false,
      encrypted: false,
      ecPolicy: undefined,
      snapshottable: false,
    });
    expect(await list('/what')).toEqual([]);
  });

  test('is counted', async () => {
    await hdfs.makeDirectory('/sum/a/b', 0o755, never);
    await write('/sum/a/f', 'abc');
    await write('/sum/a/b/g', 'de');
    expect(await hdfs.summary('/sum', never)).toEqual({ files: 2n, directories: 3n, bytes: 5n, rawBytes: 5n });
    expect((await hdfs.summary('/', never)).files).toBeGreaterThan(2n);
  });

  test('keeps a name that is taken: a rename says so, of both', async () => {
    await write('/taken', '1');
    await write('/moving', '2');
    await hdfs.makeDirectory('/taken-too', 0o755, never);
    await expect(hdfs.rename('/moving', '/taken', never)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('rename /moving to /taken: '),
    });
    await expect(hdfs.rename('/moving', '/taken-too', never)).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(hdfs.rename('/moving', '/no/parent', never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(hdfs.rename('/is-not', '/taken', never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await hdfs.allowSnapshot('/taken-too', never);
    await hdfs.createSnapshot('/taken-too', 's', never);
    await expect(hdfs.rename('/taken-too', '/moved', never)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await hdfs.delete('/is-not', never)).toBe(false);
  });
});

describe('attributes', () => {
  test('are read as they were set', async () => {
    await hdfs.makeDirectory('/attributes', 0o1777, never);
    expect((await hdfs.status('/attributes', never)).mode).toBe(0o1777);
    await hdfs.setMode('/attributes', 0o750, never);
    await hdfs.setAcl(
      '/attributes',
      ['user::rwx', 'user:bob:r--', 'group::r-x', 'mask::r-x', 'other::---', 'default:user:eve:rwx'],
      never,
    );
    expect(await hdfs.acl('/attributes', never)).toEqual(expect.arrayContaining(['user:bob:r--', 'default:user:eve:rwx']));
    await hdfs.setXattr('/attributes', 'user.empty', Buffer.alloc(0), never);
    await hdfs.setXattr('/attributes', 'trusted.k', Buffer.from('v'), never);
    expect(await hdfs.xattrs('/attributes', never)).toEqual({ 'user.empty': Buffer.alloc(0), 'trusted.k': Buffer.from('v') });
    await hdfs.removeXattr('/attributes', 'trusted.k', never);
    expect(Object.keys(await hdfs.xattrs('/attributes', never))).toEqual(['user.empty']);
    await hdfs.setStoragePolicy('/attributes', 'COLD', never);
    const { storagePolicy, hasAcl } = await hdfs.status('/attributes', never);
    expect((await hdfs.storagePolicies(never)).get(storagePolicy)).toBe('COLD');
    expect(hasAcl).toBe(true);
    await write('/replicated', 'x');
    await hdfs.setReplication('/replicated', 2, never);
    expect((await hdfs.status('/replicated', never)).replication).toBe(2);
    await expect(hdfs.setReplication('/attributes', 2, never)).rejects.toMatchObject({ code: 'REFUSED' });
  });

  test('of a directory have limits, or none', async () => {
    await hdfs.makeDirectory('/limited', 0o755, never);
    expect(await hdfs.quota('/limited', never)).toEqual({ names: undefined, bytes: undefined });
    await hdfs.setQuota('/limited', { names: 3n, bytes: 1_000_000n }, never);
    expect(await hdfs.quota('/limited', never)).toEqual({ names: 3n, bytes: 1_000_000n });
    await expect(write('/limited/f', 'x')).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringContaining('write /limited/f: '),
    });
    await hdfs.setQuota('/limited', { names: undefined, bytes: undefined }, never);
    await write('/limited/g', 'x');
    expect(await hdfs.quota('/', never)).toEqual({ names: undefined, bytes: undefined });
  });
});

describe('snapshots', () => {
  test('are allowed, taken, listed and deleted; each of it again does no harm', async () => {
    await hdfs.makeDirectory('/snap', 0o755, never);
    await hdfs.allowSnapshot('/snap', never);
    await hdfs.allowSnapshot('/snap', never);
    expect(await hdfs.snapshots('/snap', never)).toEqual([]);
    await hdfs.createSnapshot('/snap', 'b', never);
    await hdfs.createSnapshot('/snap', 'a', never);
    expect((await hdfs.snapshots('/snap', never)).map(({ name }) => name)).toEqual(['b', 'a']);
    const { fileId } = await hdfs.status('/snap', never);
    expect(await hdfs.snapshottableDirectories(never)).toContainEqual({ path: '/snap', snapshots: 2, fileId });
    await expect(hdfs.createSnapshot('/snap', 'a', never)).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(hdfs.disallowSnapshot('/snap', never)).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(hdfs.allowSnapshot('/snap/in/it', never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const name of ['a', 'b', 'b']) await hdfs.deleteSnapshot('/snap', name, never);
    await hdfs.disallowSnapshot('/snap', never);
    await hdfs.disallowSnapshot('/snap', never);
    await expect(hdfs.createSnapshot('/snap', 'c', never)).rejects.toMatchObject({ code: 'REFUSED' });
  });
});

describe('an answer that is lost', () => {
  test('of a snapshot that was taken is no refusal', async () => {
    await hdfs.makeDirectory('/lost', 0o755, never);
    await hdfs.allowSnapshot('/lost', never);
    network.loseNext();
    await unlucky.createSnapshot('/lost', 's', never);
    expect((await hdfs.snapshots('/lost', never)).map(({ name }) => name)).toEqual(['s']);
    network.loseNext();
    await unlucky.deleteSnapshot('/lost', 's', never);
    expect(await hdfs.snapshots('/lost', never)).toEqual([]);
  });

  test('of a rename, a removal or a deletion that was done is no refusal, and a new directory is one', async () => {
    await write('/lost-from', 'x');
    network.loseNext();
    await unlucky.rename('/lost-from', '/lost-to', never);
    await hdfs.setXattr('/lost-to', 'user.k', Buffer.from('v'), never);
    network.loseNext();
    await unlucky.removeXattr('/lost-to', 'user.k', never);
    network.loseNext();
    expect(await unlucky.delete('/lost-to', never)).toBe(true);
    network.loseNext();
    await unlucky.makeDirectory('/lost-directory', 0o700, never);
    expect((await hdfs.status('/lost-directory', never)).mode).toBe(0o700);
  });

  test('of what cannot be done hides no refusal', async () => {
    await hdfs.makeDirectory('/lost-refused', 0o755, never);
    network.loseNext();
    await expect(unlucky.createSnapshot('/lost-refused', 's', never)).rejects.toMatchObject({ code: 'REFUSED' });
    network.loseNext();
    await expect(unlucky.rename('/lost-is-not', '/lost-refused', never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await write('/lost-moving', 'x');
    network.loseNext();
    await expect(unlucky.rename('/lost-moving', '/lost-refused', never)).rejects.toMatchObject({ code: 'REFUSED' });
  });
});

describe('what HDFS refuses', () => {
  test('has our code, and one line that names the path', async () => {
    await expect(hdfs.status('/not/there', never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'look at /not/there: File does not exist: /not/there',
    });
    await expect(list('/not/there')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await using bob = client([`127.0.0.1:${PORT}`], 'bob');
    await hdfs.makeDirectory('/private', 0o700, never);
    await expect(bob.makeDirectory('/private/x', 0o755, never)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.not.stringContaining('\n'),
    });
    await expect(bob.allowSnapshot('/private', never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  test('of a write is told although the bytes were not all taken', async () => {
    await write('/is-there', 'x');
    for (let i = 0; i < 30; i++)
      await expect(
        hdfs.create(
          '/is-there',
          Readable.from(Array.from({ length: 300 }, () => Buffer.alloc(65_536))),
          { mode: 0o644, overwrite: false },
          never,
        ),
      ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await write('/is-there', 'another', true);
    expect(await read('/is-there', 0n, 7n)).toBe('another');
  });
});

describe('bytes', () => {
  test('that cannot be had fail the write, by their own error, at whatever moment', async () => {
    const early = new Readable({ read: () => undefined });
    early.destroy(new Error('the vault is gone'));
    await expect(hdfs.create('/early', early, { mode: 0o644, overwrite: false }, never)).rejects.toThrow('the vault is gone');
    const late = Readable.from(
      (async function* () {
        yield Buffer.alloc(1_000_000);
        await Promise.resolve();
        throw new Error('the vault broke off');
      })(),
    );
    await expect(hdfs.create('/late', late, { mode: 0o644, overwrite: false }, never)).rejects.toThrow('the vault broke off');
  });

  test('of an empty file are none', async () => {
    await write('/empty', '');
    expect(await read('/empty', 0n, 0n)).toBe('');
  });

  test('that a file does not have are an error at once', async () => {
    await write('/short', '12345');
    await expect(hdfs.open('/short', 0n, 6n, never)).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(hdfs.open('/short', 9n, 1n, never)).rejects.toMatchObject({ code: 'FAILED' });
  });

  test('nobody reads any more are left', async () => {
    await hdfs.create('/left', Buffer.alloc(20_000_000), { mode: 0o644, overwrite: false }, never);
    const unread = await hdfs.open('/left', 0n, 20_000_000n, never);
    unread.destroy();
    const half = await hdfs.open('/left', 0n, 20_000_000n, never);
    for await (const chunk of half) if ((chunk as Buffer).length > 0) break;
    const stopping = new AbortController();
    const stopped = await hdfs.open('/left', 0n, 20_000_000n, stopping.signal);
    stopped.once('data', () => stopping.abort(new Error('stop it')));
    await expect(once(stopped, 'end')).rejects.toThrow('stop it');
  });
});

describe('a server', () => {
  async function serverThat(answers: Parameters<typeof createServer>[1]): Promise<Server & AsyncDisposable> {
    const server = createServer(answers as never).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }
  const addressOf = (server: Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`;

  test('that says nothing is given up', async () => {
    await using silent = await serverThat(() => undefined);
    await using lost = client([addressOf(silent)], 'root', { silenceMs: 300, patienceMs: 0 });
    await expect(lost.status('/x', never)).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('look at /x: '),
    });
  });

  test('that is away is waited for as long as there is patience', async () => {
    await using gone = client(['127.0.0.1:1'], 'root', { patienceMs: 300 });
    await expect(gone.status('/x', never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await using patient = client(['127.0.0.1:1', `127.0.0.1:${PORT}`]);
    expect((await patient.status('/', never)).type).toBe('directory');
  });

  test('that says too much, or what is no answer, is not listened to again', async () => {
    let asked = 0;
    await using babbling = await serverThat((_, response) => {
      asked++;
      Readable.from(Array.from({ length: 1_100 }, () => Buffer.alloc(65_536, ' '))).pipe(response);
    });
    await using flooded = client([addressOf(babbling)]);
    await expect(flooded.status('/x', never)).rejects.toMatchObject({
      code: 'FAILED',
      message: expect.stringContaining('larger than'),
    });
    expect(asked).toBe(1);
    await using mistaken = await serverThat((_, response) => void response.end('<html>'));
    await using lost = client([addressOf(mistaken)]);
    await expect(lost.status('/x', never)).rejects.toMatchObject({ code: 'FAILED', message: expect.stringContaining('JSON') });
  });
});
