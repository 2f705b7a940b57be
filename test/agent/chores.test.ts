import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Finished } from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile } from '#common/gen/holdfast/v1/types.ts';
import { COMPLETE, namesIn, openFlow } from './flow.ts';
import { PREFIX, grant } from '../vault/test-vault.ts';
import { fail } from './scripted-source.ts';

type Flow = Awaited<ReturnType<typeof openFlow>>;

async function spoil(vault: { directory: string }, key: string | undefined, how = 'altered'): Promise<void> {
  await using file = await open(join(vault.directory, key ?? ''), 'r+');
  if (how === 'cut') return file.truncate((await file.stat()).size - 1);
  await file.write('spoilt', 10);
}

const mirror = (flow: Flow, file: BackupFile) =>
  flow.chore('m1', {
    $case: 'mirror',
    value: { files: [file], from: flow.access(flow.active, 'run-m1'), to: flow.access(flow.standby, 'run-m1') },
  });

describe('a mirror', () => {
  test('brings a vault that lost its copy back in step, manifest last', async () => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await rm(join(flow.standby.directory, PREFIX), { recursive: true });
    const agent = await flow.start();
    expect((await agent.run(mirror(flow, file))).outcome).toMatchObject({ $case: 'mirror' });
    expect(await namesIn(flow.standby)).toEqual(COMPLETE);
    expect(agent.source.reached.filter((point) => point.endsWith('done')).at(-1)).toBe('put manifest done');
  });

  test.each([
    ['archive', 'altered'],
    ['archive', 'cut'],
    ['index', 'altered'],
    ['index', 'cut'],
    ['manifest', 'altered'],
    ['manifest', 'cut'],
  ] as const)('of a copy whose %s is %s fails, makes nothing of that visible, and spoils no good one', async (part, how) => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await spoil(flow.active, file[part]?.key, how);
    const agent = await flow.start();
    const { outcome } = await agent.run(mirror(flow, file));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { code: 'DAMAGED', message: expect.stringContaining('mn1') as string },
    });
    const verify = { files: [file], vault: flow.access(flow.standby, 'run-v1') };
    const verified = await agent.run(flow.chore('v1', { $case: 'verify', value: verify }));
    expect(verified.outcome).toMatchObject({ $case: 'verify', value: { faults: [] } });
  });

  test('that fails half way leaves no manifest', async () => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await rm(join(flow.standby.directory, PREFIX), { recursive: true });
    const agent = await flow.start({ 'put manifest the vault of node mn2': fail('line cut') });
    expect((await agent.run(mirror(flow, file))).outcome?.$case).toBe('failed');
    expect(await namesIn(flow.standby)).toEqual(COMPLETE.slice(0, 2));
  });
});

describe('a verification', () => {
  test.each([
    ['archive', 'altered', /tar\.zst on .*mn1 was changed: its hash differs/],
    ['archive', 'cut', /tar\.zst on .*mn1 has \d+ bytes instead of \d+/],
    ['index', 'altered', /index\.zst on .*mn1 was changed: its hash differs/],
    ['index', 'cut', /index\.zst on .*mn1 has \d+ bytes instead of \d+/],
    ['manifest', 'altered', /manifest\.json on .*mn1 was changed: its hash differs/],
    ['manifest', 'cut', /manifest\.json on .*mn1 has \d+ bytes instead of \d+/],
  ] as const)('finds the one file, the %s, that is %s', async (part, how, words) => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await spoil(flow.active, file[part]?.key, how);
    const agent = await flow.start();
    const { outcome } = await agent.run(
      flow.chore('v1', { $case: 'verify', value: { files: [file], vault: flow.access(flow.active, 'run-v1') } }),
    );
    expect(outcome).toMatchObject({ $case: 'verify', value: { faults: [expect.stringMatching(words)] } });
  });

  test('names every file that was changed, shortened or lost', async () => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await spoil(flow.active, file.archive?.key);
    await writeFile(join(flow.active.directory, file.index?.key ?? ''), 'short');
    await rm(join(flow.active.directory, file.manifest?.key ?? ''));
    const agent = await flow.start();
    const { outcome } = await agent.run(
      flow.chore('v1', { $case: 'verify', value: { files: [file], vault: flow.access(flow.active, 'run-v1') } }),
    );
    expect(outcome).toMatchObject({
      $case: 'verify',
      value: {
        faults: [
          expect.stringContaining('manifest.json is missing'),
          expect.stringContaining('its hash differs'),
          expect.stringContaining('has 5 bytes instead of'),
        ],
        damage: [{ manifestKey: file.manifest?.key }, { manifestKey: file.manifest?.key }, { manifestKey: file.manifest?.key }],
      },
    });
  });

  test('of a vault that is down fails instead of finding damage', async () => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await flow.active.stop();
    const agent = await flow.start();
    const { outcome } = await agent.run(
      flow.chore('v1', { $case: 'verify', value: { files: [file], vault: flow.access(flow.active, 'run-v1') } }),
    );
    expect(outcome).toMatchObject({ $case: 'failed', value: { code: 'UNAVAILABLE' } });
    await flow.active.restart();
  });
});

describe('a deletion', () => {
  const deletion = (flow: Flow, id: string, file: BackupFile) =>
    flow.chore(id, {
      $case: 'delete',
      value: { files: [file], vault: flow.access(flow.active, `run-${id}`), incompletePrefixes: [PREFIX], manifestsOnly: false },
    });

  test('removes the manifest first, all below the prefix, and may be repeated', async () => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    await writeFile(join(flow.active.directory, PREFIX, 'stray'), 'of a lost agent');
    const agent = await flow.start();
    expect((await agent.run(deletion(flow, 'd1', file))).outcome?.$case).toBe('delete');
    expect(agent.source.reached.find((point) => point.startsWith('delete'))).toMatch(/^delete manifest/);
    expect(await namesIn(flow.active)).toEqual([]);
    expect(await namesIn(flow.standby)).toEqual(COMPLETE);
    expect((await agent.run(deletion(flow, 'd2', file))).outcome?.$case).toBe('delete');
  });

  test('that breaks off has taken the manifest already, and is completed when it is repeated', async () => {
    await using flow = await openFlow();
    const { file } = await flow.backedUp();
    const broken = await flow.start({ 'delete archive the vault of node mn1': fail('line cut') });
    expect((await broken.run(deletion(flow, 'd1', file))).outcome?.$case).toBe('failed');
    expect(await namesIn(flow.active)).toEqual(COMPLETE.slice(0, 2));
    await broken.kill();
    const agent = await flow.start();
    expect((await agent.run(deletion(flow, 'd2', file))).outcome?.$case).toBe('delete');
    expect(await namesIn(flow.active)).toEqual([]);
  });
});

describe('an inventory', () => {
  test('of many manifests that are spoilt in many ways tells each in parts that a message has room for', async () => {
    await using flow = await openFlow();
    const spoilt = JSON.stringify({ topology: Array.from({ length: 1000 }, () => 0) });
    const keys = Array.from({ length: 300 }, (_, n) => `${PREFIX.slice(0, -1)}${n}/manifest.json`);
    for (const key of keys) {
      await mkdir(join(flow.active.directory, key, '..'), { recursive: true });
      await writeFile(join(flow.active.directory, key), spoilt);
    }
    const agent = await flow.start();
    const told: string[] = [];
    for (let [part, after] = [1, '']; part === 1 || after !== ''; part++) {
      const run = `run-i${part}`;
      const vault = {
        ...flow.access(flow.active, run),
        grant: grant({ vault: flow.active.node, run, verbs: ['get', 'list'], prefixes: [''] }),
      };
      const ended = await agent.run(flow.chore(`i${part}`, { $case: 'inventory', value: { vault, after } }));
      expect(Finished.encode(ended).finish().length).toBeLessThan(2 * 1024 * 1024);
      if (ended.outcome?.$case !== 'inventory') return expect.unreachable();
      told.push(...ended.outcome.value.manifests.map(({ file }) => file?.key ?? ''));
      after = ended.outcome.value.next;
    }
    expect(told).toEqual(keys.toSorted());
  });
});
