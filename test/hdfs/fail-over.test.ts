/** The client against a real pair of NameNodes and two DataNodes: fail-overs, and DataNodes that die, in the middle of everything. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createWebHdfs } from '../../agent/hdfs/webhdfs.ts';
import type { WebHdfs } from '../../agent/hdfs/webhdfs.ts';
import { startLab } from '../sources/lab.ts';
import type { Lab } from '../sources/lab.ts';

const OFFSET = 8050;
const ADDRESSES = [`127.0.0.1:${19_110 + OFFSET}`, `127.0.0.1:${19_111 + OFFSET}`] as const;
const never = new AbortController().signal;
const held = new AsyncDisposableStack();
let lab: Lab;
let hdfs: WebHdfs;

beforeAll(async () => {
  lab = held.use(await startLab(OFFSET, 'ha'));
  hdfs = held.use(createWebHdfs({ addresses: ADDRESSES, user: 'root', connections: 8 }));
}, 300_000);
// Whoever was killed.
beforeEach(() => lab.run('up', 'ha'));
afterAll(() => held.disposeAsync());

async function kill(name: string): Promise<void> {
  process.kill(Number(await readFile(join(lab.directory, 'run', `${name}.pid`), 'utf8')), 'SIGKILL');
}
const addressOfStandby = async () => {
  for (const address of ADDRESSES) {
    const answer = await fetch(`http://${address}/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus`);
    if (/"State" : "standby"/.test(await answer.text())) return address;
  }
  throw new Error('no NameNode is in standby');
};

/** No two pieces are alike, so that one that is missing, or comes twice, is noticed. */
const PIECE = 1 << 20;
const piece = (i: number) => Buffer.alloc(PIECE, `${i} `);
const pieces = function* (count: number) {
  for (let i = 0; i < count; i++) yield piece(i);
};

/** Reads to the end; what is in `at` happens when so many bytes have come. */
async function readAll(stream: Readable, at: Readonly<Record<number, () => Promise<unknown>>>): Promise<number> {
  let size = 0;
  let left = Buffer.alloc(0);
  const next = Object.keys(at).map(Number);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    left = Buffer.concat([left, chunk]);
    for (; left.length >= PIECE; size += PIECE, left = left.subarray(PIECE))
      if (!left.subarray(0, PIECE).equals(piece(size / PIECE))) throw new Error(`the bytes from ${size} on are others`);
    const [due] = next;
    if (due !== undefined && size >= due) await at[next.shift() ?? 0]?.();
  }
  return size + left.length;
}

test('a call finds the NameNode that is active, and a refusal of that one is a refusal', async () => {
  const standby = await addressOfStandby();
  const [other = ''] = ADDRESSES.filter((address) => address !== standby);
  await using wrongWay = createWebHdfs({ addresses: [standby, other], user: 'root', connections: 1 });
  await wrongWay.makeDirectory('/refused', 0o755, never);
  await wrongWay.allowSnapshot('/refused', never);
  await wrongWay.createSnapshot('/refused', 's', never);
  await using again = createWebHdfs({ addresses: [standby, other], user: 'root', connections: 1 });
  await expect(again.createSnapshot('/refused', 's', never)).rejects.toMatchObject({ code: 'REFUSED' });
  await using gone = createWebHdfs({ addresses: [standby, other], user: 'root', connections: 1 });
  expect(await gone.delete('/is-not', never)).toBe(false);
});

test('without an active NameNode a call ends when its patience does', async () => {
  const standby = await addressOfStandby();
  await using alone = createWebHdfs({ addresses: [standby], user: 'root', connections: 1, patienceMs: 200 });
  await expect(alone.status('/', never)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    details: { exception: 'StandbyException' },
  });
});

test('calls, listings and writes go on through fail-overs, one of them by a death', async () => {
  await hdfs.makeDirectory('/through', 0o755, never);
  let done = false;
  let made = 0;
  const work = async (lane: number) => {
    for (let i = 0; !done; i++, made++) {
      const path = `/through/${lane}-${i}`;
      await hdfs.create(path, Buffer.from(path), { mode: 0o644, overwrite: true }, never);
      await hdfs.rename(path, `${path}~`, never);
    }
  };
  const lanes = Promise.all([0, 1, 2, 3].map(work));
  await expect.poll(() => made, { timeout: 30_000 }).toBeGreaterThan(20);
  await lab.run('failover', 'ha');
  const between = made;
  await expect.poll(() => made, { timeout: 30_000 }).toBeGreaterThan(between + 20);
  const standby = await addressOfStandby();
  await kill(standby === ADDRESSES[0] ? 'ha-namenode2' : 'ha-namenode1');
  await lab.run('failover', 'ha');
  const after = made;
  await expect.poll(() => made, { timeout: 30_000 }).toBeGreaterThan(after + 20);
  done = true;
  await lanes;
  let found = 0;
  for await (const { name, size } of hdfs.list('/through', never)) {
    expect(name).toMatch(/~$/);
    expect(size).toBeGreaterThan(0n);
    found++;
  }
  expect(found).toBe(made);
});

test('a read goes on at the other DataNode, found by the NameNode that has taken over, and nobody notices', async () => {
  await hdfs.create('/read', Readable.from(pieces(96)), { mode: 0o644, overwrite: true }, never);
  const size = BigInt(96 * PIECE);
  const stream = await hdfs.open('/read', 0n, size, never);
  // Whichever it is read from.
  const done = await readAll(stream, {
    [8 * PIECE]: async () => {
      await kill('ha-datanode1');
      await lab.run('failover', 'ha');
    },
    [40 * PIECE]: async () => {
      await lab.run('up', 'ha');
      await kill('ha-datanode2');
    },
  });
  expect(done).toBe(Number(size));
});

test('a read waits for a DataNode when none is left, and fails by an error when its patience ends', async () => {
  await hdfs.create('/wait', Readable.from(pieces(64)), { mode: 0o644, overwrite: true }, never);
  const size = BigInt(64 * PIECE);
  const killAll = () => Promise.all([kill('ha-datanode1'), kill('ha-datanode2')]);
  let up: Promise<unknown> = Promise.resolve();
  const patient = await hdfs.open('/wait', 0n, size, never);
  const done = await readAll(patient, {
    [8 * PIECE]: async () => {
      await killAll();
      up = lab.run('up', 'ha');
    },
  });
  await up;
  expect(done).toBe(Number(size));

  await using hasty = createWebHdfs({ addresses: ADDRESSES, user: 'root', connections: 2, patienceMs: 500 });
  const broken = await hasty.open('/wait', 0n, size, never);
  await expect(readAll(broken, { [8 * PIECE]: killAll })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('read /wait: '),
  });
});

test('a write that loses its DataNode fails by an error, and can be made again', async () => {
  const bytes = async function* () {
    yield* pieces(8);
    await Promise.all([kill('ha-datanode1'), kill('ha-datanode2')]);
    yield* pieces(64);
  };
  await expect(hdfs.create('/written', Readable.from(bytes()), { mode: 0o644, overwrite: true }, never)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('write /written: '),
  });
  await lab.run('up', 'ha');
  await hdfs.create('/written', Readable.from(pieces(8)), { mode: 0o644, overwrite: true }, never);
  const stream = await hdfs.open('/written', 0n, BigInt(8 * PIECE), never);
  expect(await readAll(stream, {})).toBe(8 * PIECE);
});
