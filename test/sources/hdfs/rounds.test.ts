/** Ten rounds of every kind of change, each backed up as an incremental: what it says is what a full one says, entry for entry. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IndexEntry } from '../../../agent/archive/point/point.ts';
import { createWebHdfs } from '../../../agent/hdfs/webhdfs.ts';
import type { WebHdfs } from '../../../agent/hdfs/webhdfs.ts';
import { hdfsSettingsSchema } from '../../../agent/sources/hdfs/settings.ts';
import { startLab } from '../lab.ts';
import { append, truncate } from './append.ts';
import { createPoints, never, selectionOf } from './points.ts';
import type { Point } from './points.ts';
import { changes, random } from './random-changes.ts';

const OFFSET = 9000;
const ADDRESS = `127.0.0.1:${19_870 + OFFSET}`;
const TREE = '/rounds/tree';
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 20_261_125);
const CHANGES_A_ROUND = 40;
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

/** What must be the same however it was found; where content lies may differ. */
function told({ entries }: Point): string[] {
  return entries.map(({ path, type, size, attributes, content }: IndexEntry) =>
    JSON.stringify({
      path,
      type,
      size: String(size),
      // Taking a snapshot changes the time of its own root.
      attributes: { ...attributes, ...(path === TREE && { modifiedMs: 0 }) },
      sha256: content?.location.sha256,
    }),
  );
}

async function contentsNow(path: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const { name, type, size } of hdfs.list(path, never)) {
    const below = `${path}/${name}`;
    if (type === 'directory') for (const [file, bytes] of await contentsNow(below)) found.set(file, bytes);
    else found.set(below, Buffer.concat(await (await hdfs.open(below, 0n, size, never)).toArray()));
  }
  return found;
}

describe('an incremental', () => {
  test('notices what HDFS does not tell of: times alone, and a file cut and written to its old size again', async () => {
    const tree = '/untold';
    const write = (name: string, text: string) =>
      hdfs.create(`${tree}/${name}`, Buffer.from(text), { mode: 0o640, overwrite: false }, never);
    await hdfs.makeDirectory(`${tree}/emptied`, 0o755, never);
    await hdfs.makeDirectory(`${tree}/deep/er`, 0o755, never);
    for (const name of ['deep/er/rewritten', 'deep/touched', 'same']) await write(name, 'old bytes');
    const before = await points.make(selectionOf({ paths: [tree] }));

    await truncate(ADDRESS, `${tree}/deep/er/rewritten`, 0);
    await append(ADDRESS, `${tree}/deep/er/rewritten`, 'new bytes');
    await hdfs.setTimes(`${tree}/deep/touched`, 5, 6, never);
    await write('emptied/for a moment', 'x');
    await hdfs.delete(`${tree}/emptied/for a moment`, never);
    const after = await points.make(selectionOf({ paths: [tree] }), before.base);

    expect(after.fullBecause).toBeUndefined();
    const contents = await points.contents(after);
    expect(contents.get(`${tree}/deep/er/rewritten`)?.toString()).toBe('new bytes');
    const found = new Map(after.entries.map((entry) => [entry.path, entry]));
    expect(found.get(`${tree}/deep/touched`)?.attributes).toMatchObject({ modifiedMs: 5, accessMs: 6 });
    const { modifiedMs } = await hdfs.status(`${tree}/emptied`, never);
    expect(found.get(`${tree}/emptied`)?.attributes).toMatchObject({ modifiedMs });
    expect(found.get(`${tree}/same`)?.content?.in).toBe(1);
  });
});

describe('ten rounds', () => {
  test(`of changes: each incremental says what a full backup says, and holds what HDFS holds (seed ${SEED})`, async () => {
    const next = random(SEED);
    await hdfs.makeDirectory(TREE, 0o755, never);
    await hdfs.makeDirectory('/rounds/outside', 0o755, never);
    const changing = changes(hdfs, ADDRESS, TREE, '/rounds/outside', next);
    const selection = selectionOf({ paths: [TREE] });
    let last: Point | undefined;
    for (let round = 0; round < 10; round++) {
      if (round === 0) for (let i = 0; i < 120; i++) await changing.change('create');
      for (let i = 0; i < CHANGES_A_ROUND; i++) await changing.change();
      const incremental: Point = await points.make(selection, last?.base);
      // Of another task: it has a snapshot of its own, of the same tree.
      const full = await points.make(selection, undefined, { name: 'full_every_time', createdMs: 1 });
      expect(incremental.fullBecause).toBeUndefined();
      expect(told(incremental)).toEqual(told(full));
      const now = await contentsNow(TREE);
      const stored = await points.contents(incremental);
      expect([...stored.keys()].toSorted()).toEqual([...now.keys()].toSorted());
      for (const [path, bytes] of now) expect(stored.get(path)?.equals(bytes), path).toBe(true);
      last = incremental;
    }
    // What no round did was not tried.
    expect([...changing.kinds.keys()]).toHaveLength(22);
    expect(last?.base.references.length).toBeGreaterThan(3);
  }, 600_000);
});
