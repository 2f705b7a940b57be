/** What a real HDFS tells of two snapshots: what snapshot-diff.ts says of it at its head, and that no page is lost. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebHdfs } from '../../agent/hdfs/webhdfs.ts';
import { createWebHdfs } from '../../agent/hdfs/webhdfs.ts';
import { startLab } from '../sources/lab.ts';

const OFFSET = 8200;
const never = new AbortController().signal;
const held = new AsyncDisposableStack();
let hdfs: WebHdfs;
let count = 0;

beforeAll(async () => {
  held.use(await startLab(OFFSET, 'hdfs'));
  hdfs = held.use(createWebHdfs({ addresses: [`127.0.0.1:${19_870 + OFFSET}`], user: 'root', connections: 16 }));
}, 300_000);
afterAll(() => held.disposeAsync());

const write = (path: string, text = 'x', overwrite = false) =>
  hdfs.create(path, Buffer.from(text), { mode: 0o640, overwrite }, never);
const make = (path: string) => hdfs.makeDirectory(path, 0o755, never);
const rename = (from: string, to: string) => hdfs.rename(from, to, never);

const outside = (root: string) => root.replace('/in', '/out');

/** Sorted lines: `create a`, `create* a` of what was there before, `delete a`, `delete a > b` of a rename, `modify a`. */
async function told(before: (root: string) => Promise<unknown>, after: (root: string) => Promise<unknown>, below = '') {
  const root = `/diff${count++}/in`;
  await make(root);
  await make(outside(root));
  await before(root);
  await hdfs.allowSnapshot(root, never);
  await hdfs.createSnapshot(root, 'a', never);
  await after(root);
  await hdfs.createSnapshot(root, 'b', never);
  const lines: string[] = [];
  for await (const { kind, path, target, isRenamed } of hdfs.snapshotDiff(`${root}${below}`, 'a', 'b', never))
    lines.push(`${kind}${isRenamed ? '*' : ''} ${path}${target === undefined ? '' : ` > ${target}`}`);
  return lines.toSorted();
}

describe('a rename', () => {
  test('of a directory leaves what changed below it under its old path', async () => {
    const lines = await told(
      async (root) => {
        await make(`${root}/d/e`);
        await write(`${root}/d/e/f`);
      },
      async (root) => {
        await rename(`${root}/d`, `${root}/D`);
        await hdfs.setMode(`${root}/D/e/f`, 0o600, never);
        await write(`${root}/D/new`);
        await make(`${root}/D/deep/er`);
      },
    );
    expect(lines).toEqual(['create d/deep', 'create d/new', 'create* D', 'delete d > D', 'modify ', 'modify d', 'modify d/e/f']);
  });

  test('in a directory that was renamed has its old path, and the new one as its target', async () => {
    const lines = await told(
      async (root) => {
        await make(`${root}/d/e`);
        await make(`${root}/z`);
        await write(`${root}/d/e/f`);
        await write(`${root}/d/e/g`);
      },
      async (root) => {
        await rename(`${root}/d`, `${root}/D`);
        await rename(`${root}/D/e`, `${root}/D/E`);
        await rename(`${root}/D/E/f`, `${root}/D/E/F`);
        await rename(`${root}/D/E/g`, `${root}/z/g`);
      },
    );
    expect(lines).toEqual([
      'create* D',
      'create* d/E',
      'create* d/e/F',
      'create* z/g',
      'delete d > D',
      'delete d/e > D/E',
      'delete d/e/f > D/E/F',
      'delete d/e/g > z/g',
      'modify ',
      'modify d',
      'modify d/e',
      'modify z',
    ]);
  });

  test('into a new directory has no creation of its own', async () => {
    const lines = await told(
      (root) => make(`${root}/s/x`),
      async (root) => {
        await make(`${root}/new/deep`);
        await rename(`${root}/s`, `${root}/new/deep/s`);
        await hdfs.setMode(`${root}/new/deep/s/x`, 0o700, never);
      },
    );
    expect(lines).toEqual(['create new', 'delete s > new/deep/s', 'modify ', 'modify s/x']);
  });

  test('there and back, and crosswise, is told', async () => {
    const lines = await told(
      async (root) => {
        for (const name of ['d', 'x', 'y']) await make(`${root}/${name}`);
      },
      async (root) => {
        await rename(`${root}/d`, `${root}/t`);
        await rename(`${root}/t`, `${root}/d`);
        await rename(`${root}/x`, `${root}/t`);
        await rename(`${root}/y`, `${root}/x`);
        await rename(`${root}/t`, `${root}/y`);
      },
    );
    expect(lines).toEqual(['create* d', 'create* x', 'create* y', 'delete d > d', 'delete x > y', 'delete y > x', 'modify ']);
  });

  test('out of the root is a deletion, into it a creation, and so it is between parts of the root', async () => {
    const before = async (root: string) => {
      await make(`${root}/s`);
      await make(`${root}/t`);
      await write(`${root}/s/goes`);
      await write(`${root}/t/crosses`);
      await write(`${outside(root)}/comes`);
    };
    const after = async (root: string) => {
      const out = outside(root);
      await rename(`${root}/s/goes`, `${out}/goes`);
      await rename(`${out}/comes`, `${root}/s/comes`);
      await rename(`${root}/t/crosses`, `${root}/s/crosses`);
    };
    expect(await told(before, after)).toEqual([
      'create s/comes',
      'create* s/crosses',
      'delete s/goes',
      'delete t/crosses > s/crosses',
      'modify s',
      'modify t',
    ]);
    expect(await told(before, after, '/s')).toEqual(['create comes', 'create* crosses', 'delete goes', 'modify ']);
    expect(await told(before, after, '/t')).toEqual(['delete crosses', 'modify ']);
  });

  test('out of a directory that is gone hides what changed below', async () => {
    const lines = await told(
      async (root) => {
        await make(`${root}/d/e`);
        await write(`${root}/d/e/f`);
        await write(`${root}/d/g`);
      },
      async (root) => {
        await rename(`${root}/d/e`, `${root}/e`);
        await rename(`${root}/d/g`, `${root}/g`);
        await hdfs.setMode(`${root}/e/f`, 0o600, never);
        await hdfs.setMode(`${root}/g`, 0o600, never);
        await hdfs.delete(`${root}/d`, never);
      },
    );
    expect(lines).toEqual(['create* e', 'create* g', 'delete d', 'modify ']);
  });
});

describe('a change', () => {
  test('that puts another file in the place of one is a deletion and a creation', async () => {
    const lines = await told(
      async (root) => {
        for (const name of ['anew', 'over', 'from', 'to']) await write(`${root}/${name}`, '1');
      },
      async (root) => {
        await hdfs.delete(`${root}/anew`, never);
        await write(`${root}/anew`, '2');
        await write(`${root}/over`, '2', true);
        await hdfs.delete(`${root}/to`, never);
        await rename(`${root}/from`, `${root}/to`);
        await write(`${root}/came-and-went`);
        await hdfs.delete(`${root}/came-and-went`, never);
      },
    );
    expect(lines).toEqual([
      'create anew',
      'create over',
      'create* to',
      'delete anew',
      'delete from > to',
      'delete over',
      'delete to',
      'modify ',
    ]);
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ['owner', (path) => hdfs.setOwner(path, 'u', 'g', never)],
    ['mode', (path) => hdfs.setMode(path, 0o700, never)],
    ['extended attributes', (path) => hdfs.setXattr(path, 'user.k', Buffer.from('v'), never)],
    ['ACL', (path) => hdfs.setAcl(path, ['user::rwx', 'user:bob:r--', 'group::r-x', 'mask::rwx', 'other::---'], never)],
    ['storage policy', (path) => hdfs.setStoragePolicy(path, 'WARM', never)],
  ])('of the %s is told, of the root itself as well', async (_, change) => {
    const lines = await told(
      async (root) => {
        await make(`${root}/d/e`);
        await write(`${root}/d/e/f`);
      },
      async (root) => {
        for (const path of ['', '/d', '/d/e/f']) await change(`${root}${path}`);
      },
    );
    expect(lines).toEqual(['modify ', 'modify d', 'modify d/e/f']);
  });

  test('of replication and of a quota is told', async () => {
    const lines = await told(
      async (root) => {
        await make(`${root}/d`);
        await write(`${root}/f`);
      },
      async (root) => {
        await hdfs.setReplication(`${root}/f`, 2, never);
        await hdfs.setQuota(`${root}/d`, { names: 9n, bytes: undefined }, never);
      },
    );
    expect(lines).toEqual(['modify d', 'modify f']);
  });

  test('of times alone is not told', async () => {
    const lines = await told(
      (root) => write(`${root}/f`),
      async (root) => {
        await hdfs.setTimes(`${root}/f`, 1_000, 2_000, never);
        await hdfs.setTimes(root, 1_000, 2_000, never);
      },
    );
    expect(lines).toEqual([]);
  });
});

describe('a difference of many pages', () => {
  /** So many are in one page. */
  const PAGE = 1_000;
  const many = async (total: number, act: (i: number) => Promise<unknown>) => {
    for (let at = 0; at < total; at += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => act(at + i)));
  };

  test('is told to its end where a page ends between directories', async () => {
    const lines = await told(
      (root) => many(PAGE + 150, (i) => make(`${root}/d ${i}%`)),
      (root) => many(PAGE + 150, (i) => hdfs.setMode(`${root}/d ${i}%`, 0o700, never)),
    );
    expect(lines).toEqual(Array.from({ length: PAGE + 150 }, (_, i) => `modify d ${i}%`).toSorted());
  });

  test('is told to its end where a page ends amidst the children of one, also of a renamed one', async () => {
    const lines = await told(
      async (root) => {
        await make(`${root}/ü?`);
        await many(PAGE + 50, (i) => make(`${root}/ü?/old${i}`));
      },
      async (root) => {
        await rename(`${root}/ü?`, `${root}/&#`);
        await many(PAGE + 50, (i) => make(`${root}/&#/new${i}`));
        await many(PAGE + 50, (i) => hdfs.delete(`${root}/&#/old${i}`, never));
      },
    );
    const wanted = Array.from({ length: PAGE + 50 }, (_, i) => [`create ü?/new${i}`, `delete ü?/old${i}`]).flat();
    expect(lines).toEqual([...wanted, 'create* &#', 'delete ü? > &#', 'modify ', 'modify ü?'].toSorted());
  });
});
