import { rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PREFIX, grant, never } from '../vault/test-vault.ts';
import { COMPLETE, fileOf, namesIn, openFlow } from './flow.ts';
import { fail, hang } from './scripted-source.ts';

const ACTIVE = 'the vault of node mn1';
const STANDBY = 'the vault of node mn2';

describe('a backup', () => {
  test('stands on both vaults, its manifest written last and naming no grant', async () => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await agent.source.write('data');
    const finished = await agent.run(flow.backup('b1'));
    const file = fileOf(finished);
    expect(finished.outcome).toMatchObject({
      value: {
        vaults: [
          { node: 'mn1', failed: undefined },
          { node: 'mn2', failed: undefined },
        ],
      },
    });
    for (const vault of [flow.active, flow.standby]) expect(await namesIn(vault)).toEqual(COMPLETE);
    const puts = agent.source.reached.filter((point) => point.startsWith('put') && point.endsWith('done'));
    expect(puts.slice(-2)).toEqual(['put manifest done', 'put manifest done']);
    await using vault = await flow.active.open();
    const manifest = Buffer.concat(await (await vault.get(file.manifest?.key ?? '', never)).toArray()).toString();
    expect(manifest).not.toContain(grant({ vault: 'mn1', run: 'run-b1' }).split('.')[1]);
    expect(existsSync(join(flow.directory, 'work', 'b1'))).toBe(false);
  });

  test.each([
    'prepareBackup',
    'estimate',
    'backup',
    'freeSpace',
    `put index ${ACTIVE}`,
    `put manifest ${ACTIVE}`,
    'disposeBackup',
  ])('that fails at "%s" leaves nothing on either vault and says why', async (point) => {
    await using flow = await openFlow();
    const agent = await flow.start({ [point]: fail('the tool died') });
    await agent.source.write('data');
    const { outcome } = await agent.run(flow.backup('b1'));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { code: 'TOOL', message: expect.stringContaining('the tool died') as string },
    });
    expect(agent.source.reached).toContain(point);
    for (const vault of [flow.active, flow.standby]) expect(await namesIn(vault)).toEqual([]);
    expect(agent.source.reached.includes('disposeBackup')).toBe(point !== 'prepareBackup');
    expect(await agent.journal.begun()).toEqual([]);
    expect(existsSync(join(flow.directory, 'work', 'b1'))).toBe(false);
  });

  test.each(['prepareBackup', 'estimate', 'backup', `put index ${ACTIVE}`])(
    'that is stopped at "%s" ends as stopped, with the reason, and leaves nothing',
    async (point) => {
      await using flow = await openFlow();
      const agent = await flow.start({
        [point]: point.startsWith('put') ? () => Promise.resolve(agent.runner.cancel('b1', 'by admin')) : hang,
      });
      await agent.source.write('data');
      await agent.give(flow.backup('b1'));
      await agent.source.come(point);
      agent.runner.cancel('b1', 'by admin');
      const { outcome } = await agent.endOf('b1');
      expect(outcome).toMatchObject({ $case: 'stopped', value: { message: expect.stringContaining('by admin') as string } });
      for (const vault of [flow.active, flow.standby]) expect(await namesIn(vault)).toEqual([]);
    },
  );

  test('that waits for its turn ends at once when it is stopped', async () => {
    await using flow = await openFlow();
    const agent = await flow.start({ backup: hang });
    await agent.source.write('data');
    await agent.give(flow.backup('b1'));
    await agent.source.come('backup');
    await agent.give(flow.backup('b2'));
    agent.runner.cancel('b2', 'by admin');
    expect((await agent.endOf('b2')).outcome).toMatchObject({ $case: 'stopped', value: { message: 'by admin' } });
    expect(agent.runner.running()).toEqual(['b1']);
    expect(agent.source.reached).not.toContain('disposeBackup');
  });

  test.each(['prepareBackup', 'backup', `put archive ${ACTIVE}`, 'put archive done', 'put index done', 'put manifest done'])(
    'whose agent is killed at "%s" is cleared away when the agent starts again, before anything new begins',
    async (point) => {
      await using flow = await openFlow();
      const agent = await flow.start({ [point]: hang });
      await agent.source.write('data');
      await agent.give(flow.backup('b1'));
      await agent.source.come(point);
      await agent.kill();
      const restarted = await flow.start();
      const next = await restarted.run(flow.backup('b2'));
      const outcome = (await restarted.endOf('b1')).outcome;
      expect(outcome).toMatchObject({
        $case: 'failed',
        value: { message: expect.stringContaining('died in mid-run') as string },
      });
      const { reached } = restarted.source;
      expect(reached.indexOf('finish')).toBeLessThan(reached.indexOf('prepareBackup'));
      // The second backup of this test has the same name on disk.
      expect(next.outcome?.$case).toBe('backup');
      expect(await namesIn(flow.active)).toEqual(COMPLETE);
    },
  );

  test('whose agent is killed after its end was journaled stays', async () => {
    await using flow = await openFlow();
    await flow.backedUp();
    await writeFile(join(flow.directory, 'journal', 'b1.assign'), JSON.stringify({ ...flow.backup('b1'), work: undefined }));
    const restarted = await flow.start();
    await restarted.recovering;
    expect((await restarted.endOf('b1')).outcome?.$case).toBe('backup');
    expect(await namesIn(flow.active)).toEqual(COMPLETE);
  });

  test('is degraded, and says so, when the standby dies in mid-run', async () => {
    await using flow = await openFlow();
    const agent = await flow.start({ [`put index ${ACTIVE}`]: () => flow.standby.stop() });
    await agent.source.write('data');
    const { outcome } = await agent.run(flow.backup('b1'));
    expect(outcome).toMatchObject({
      $case: 'backup',
      value: {
        vaults: [
          { node: 'mn1', failed: undefined },
          { node: 'mn2', failed: { code: 'UNAVAILABLE' } },
        ],
      },
    });
    expect(await namesIn(flow.active)).toEqual(COMPLETE);
    expect(await namesIn(flow.standby)).not.toContain('manifest.json');
    await flow.standby.restart();
  });

  test('fails when the active vault dies in mid-run, leaves no manifest, and says what it could not remove', async () => {
    await using flow = await openFlow();
    const agent = await flow.start({ [`put index ${ACTIVE}`]: () => flow.active.stop() });
    await agent.source.write('data');
    const { outcome } = await agent.run(flow.backup('b1'));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { code: 'UNAVAILABLE', message: expect.stringContaining('could not be removed') as string },
    });
    for (const vault of [flow.active, flow.standby]) expect(await namesIn(vault)).not.toContain('manifest.json');
    await flow.active.restart();
  });

  test('says which standby may hold parts of a run that failed', async () => {
    await using flow = await openFlow();
    const agent = await flow.start({
      [`put index ${STANDBY}`]: () => flow.standby.stop(),
      [`put manifest ${ACTIVE}`]: fail('disk died'),
    });
    await agent.source.write('data');
    const { outcome } = await agent.run(flow.backup('b1'));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { message: expect.stringMatching(/disk died.*mn2 may still hold parts/) as string },
    });
    expect(await namesIn(flow.active)).toEqual([]);
    await flow.standby.restart();
  });

  test('of an attempt that was given up is fenced: a newer one has cleared its prefix', async () => {
    await using flow = await openFlow();
    const agent = await flow.start({
      async [`put index ${ACTIVE}`]() {
        for (const vault of [flow.active, flow.standby]) {
          await using newer = await vault.open({ grant: grant({ vault: vault.node, run: 'run-b1', attempt: 2 }) });
          for (const { key } of await newer.list(PREFIX, never)) await newer.delete(key, never);
        }
      },
    });
    await agent.source.write('data');
    const { outcome } = await agent.run(flow.backup('b1'));
    expect(outcome).toMatchObject({ $case: 'failed', value: { code: 'FENCED' } });
    for (const vault of [flow.active, flow.standby]) expect(await namesIn(vault)).toEqual([]);
  });

  test('does not start with as much free as must stay free, or less', async () => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await agent.source.write('data');
    const { freeBytes } = await flow.active.space();
    const { outcome } = await agent.run(flow.backup('b1', { minimumFreeBytes: freeBytes * 2n }));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { code: 'NO_SPACE', message: expect.stringContaining('are required') as string },
    });
    expect(agent.source.reached).not.toContain('backup');
  });

  test('given twice is done once, and its end is told again until it is acknowledged', async () => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await agent.source.write('data');
    const finished = await agent.run(flow.backup('b1'));
    await agent.give(flow.backup('b1'));
    expect(agent.told).toEqual([finished]);
    await agent.kill();
    const restarted = await flow.start();
    await restarted.give(flow.backup('b1'));
    expect(restarted.told).toEqual([finished]);
    expect(restarted.source.reached).toEqual([]);
    await restarted.journal.acknowledge('b1');
    expect(await restarted.journal.finished()).toEqual([]);
  });

  test('given twice at once is done once, though it ends while it is looked for', async () => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await agent.source.write('data');
    const { journal } = agent;
    const first = await journal.finished();
    // The first look of each goes on at once; a second one that found nothing is held until there is an end.
    let looks = 0;
    agent.journalSeen.finished = async () => {
      if (++looks === 1) return first;
      const seen = await journal.finished();
      if (seen.length === 0) await agent.endOf('b1');
      return seen;
    };
    await Promise.all([agent.give(flow.backup('b1')), agent.give(flow.backup('b1'))]);
    await agent.endOf('b1');
    expect(agent.source.reached.filter((point) => point === 'prepareBackup')).toHaveLength(1);
  });

  test('has its end written down as soon as the journal can be written again', async () => {
    await using flow = await openFlow();
    let full = true;
    const agent = await flow.start({ finish: () => (full ? fail('no space left')() : Promise.resolve()) });
    await agent.source.write('data');
    await agent.give(flow.backup('b1'));
    await agent.source.come('finish');
    expect(agent.runner.running()).toEqual(['b1']);
    full = false;
    expect((await agent.endOf('b1')).outcome?.$case).toBe('backup');
    expect(await namesIn(flow.active)).toEqual(COMPLETE);
  });
});

describe('an assignment', () => {
  test('that cannot be journaled is told as failed, and not begun', async () => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await rm(join(flow.directory, 'journal'), { recursive: true });
    await writeFile(join(flow.directory, 'journal'), 'in the way');
    await expect(agent.give(flow.backup('b1'))).rejects.toThrow('ENOTDIR');
    expect(agent.source.reached).toEqual([]);
  });

  test.each([
    ['without work', { assignmentId: 'a1', runId: 'r', attempt: 1, work: undefined }],
    ['with an id that is a path', { assignmentId: '../a1', runId: 'r', attempt: 1, work: undefined }],
  ])('%s is refused and told', async (_what, assign) => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await agent.give(assign);
    expect(agent.told).toMatchObject([{ outcome: { $case: 'failed', value: { code: 'INVALID' } } }]);
  });

  test('whose record was spoilt is not done again', async () => {
    await using flow = await openFlow();
    const agent = await flow.start();
    await writeFile(join(flow.directory, 'journal', 'b1.assign'), '{"assi');
    await agent.give(flow.backup('b1'));
    expect(agent.told).toMatchObject([
      {
        outcome: { $case: 'failed', value: { code: 'DAMAGED', message: expect.stringContaining('b1.assign.damaged') as string } },
      },
    ]);
    expect(agent.source.reached).toEqual([]);
  });
});
