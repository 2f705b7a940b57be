import { appendFile, open, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BackupFile } from '#common/gen/holdfast/v1/types.ts';
import { PREFIX } from '../vault/test-vault.ts';
import { openFlow } from './flow.ts';
import { fail, hang } from './scripted-source.ts';

/** One byte of a stored file is turned over, or its end is lost, or all of it. */
async function damage(
  vault: { directory: string },
  key: string | undefined,
  how: 'altered' | 'cut' | 'emptied' | 'lost' | 'padded' = 'altered',
): Promise<void> {
  const path = join(vault.directory, key ?? '');
  if (how === 'lost') return rm(path);
  // A frame that zstd skips: the content is the same, and every checksum in it holds.
  if (how === 'padded') return appendFile(path, Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]));
  if (how === 'emptied') return truncate(path);
  if (how === 'cut') return truncate(path, (await stat(path)).size - 1);
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 20);
  await file.write(Buffer.from([byte[0]! ^ 1]), 0, 1, 20);
}

async function lost(flow: Awaited<ReturnType<typeof openFlow>>): Promise<{ file: BackupFile; text: string }> {
  const backup = await flow.backedUp();
  const agent = await flow.start();
  await agent.source.write('what came later');
  await agent.journal.acknowledge('b1');
  await agent.kill();
  return backup;
}

describe('a restore', () => {
  test('puts what was backed up in place, and leaves nothing of the old state after the commit', async () => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    const agent = await flow.start();
    const { outcome } = await agent.run(flow.restore('r1', file));
    expect(outcome).toEqual({ $case: 'restore', value: { checks: ['as in the backup'], restoredBytes: BigInt(text.length) } });
    expect(await agent.source.content()).toBe(text);
    expect(agent.source.leftovers()).toEqual([]);
    const after = ['check', 'markCommitted', 'commit', 'disposeRestore', 'finish'];
    expect(agent.source.reached.filter((point) => after.includes(point))).toEqual(after);
    expect(await readdir(join(flow.directory, 'journal'))).toEqual(['r1.finished']);
  });

  test.each(['archive', 'manifest'] as const)('whose %s is damaged on the first vault reads the second', async (part) => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    await damage(flow.active, file[part]?.key);
    const agent = await flow.start();
    expect((await agent.run(flow.restore('r1', file))).outcome?.$case).toBe('restore');
    expect(await agent.source.content()).toBe(text);
    expect(agent.logs.join('\n')).toMatch(/warn mn1: /);
  });

  test.each([
    ['archive', 'altered', 'DAMAGED'],
    ['archive', 'cut', 'DAMAGED'],
    ['archive', 'emptied', 'DAMAGED'],
    ['archive', 'padded', 'DAMAGED'],
    ['archive', 'lost', 'NOT_FOUND'],
    ['manifest', 'altered', 'DAMAGED'],
    ['manifest', 'cut', 'DAMAGED'],
    ['manifest', 'emptied', 'DAMAGED'],
    ['manifest', 'lost', 'NOT_FOUND'],
  ] as const)('whose %s is %s on both vaults is refused, each named, before anything changed', async (part, how, code) => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    for (const vault of [flow.active, flow.standby]) await damage(vault, file[part]?.key, how);
    const agent = await flow.start();
    expect((await agent.run(flow.restore('r1', file))).outcome).toMatchObject({ $case: 'failed', value: { code } });
    for (const node of ['mn1', 'mn2']) expect(agent.logs.join('\n')).toContain(`warn ${node}: `);
    expect(agent.source.reached).not.toContain('prepareRestore');
    expect(await agent.source.content()).toBe('what came later');
    expect(await readdir(join(flow.directory, 'work'))).toEqual([]);
  });

  test.each(['altered', 'cut', 'lost'] as const)(
    'whose index is %s goes through: it reads every byte without one',
    async (how) => {
      await using flow = await openFlow();
      const { file, text } = await lost(flow);
      for (const vault of [flow.active, flow.standby]) await damage(vault, file.index?.key, how);
      const agent = await flow.start();
      expect((await agent.run(flow.restore('r1', file))).outcome?.$case).toBe('restore');
      expect(await agent.source.content()).toBe(text);
    },
  );

  test.each(['altered', 'cut'] as const)('is not even planned from a manifest that is %s', async (how) => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    const agent = await flow.start();
    const plan = (id: string) => {
      const { work } = flow.restore(id, file);
      if (work?.$case !== 'restore') return expect.unreachable();
      return flow.chore(id, { $case: 'planRestore', value: work.value });
    };
    expect((await agent.run(plan('p1'))).outcome?.$case).toBe('planRestore');
    for (const vault of [flow.active, flow.standby]) await damage(vault, file.manifest?.key, how);
    agent.source.reached.length = 0;
    expect((await agent.run(plan('p2'))).outcome).toMatchObject({ $case: 'failed', value: { code: 'DAMAGED' } });
    expect(agent.source.reached).not.toContain('planRestore');
  });

  test('whose manifest was altered and still reads well is refused: its hash is that of the catalogue', async () => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    for (const vault of [flow.active, flow.standby]) {
      const path = join(vault.directory, file.manifest?.key ?? '');
      await writeFile(path, (await readFile(path, 'utf8')).replace('by a test', 'by a text'));
    }
    const agent = await flow.start();
    const { outcome } = await agent.run(flow.restore('r1', file));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { code: 'DAMAGED', message: expect.stringContaining('not the one that was written') as string },
    });
    expect(agent.source.reached).not.toContain('planRestore');
  });

  test('whose manifest is of another file than the catalogue says is refused', async () => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    const other = { key: `${PREFIX}other.tar.zst`, sizeBytes: 1n, sha256: 'ab'.repeat(32) };
    const agent = await flow.start();
    const { outcome } = await agent.run(flow.restore('r1', { ...file, archive: other }));
    expect(outcome).toMatchObject({ $case: 'failed', value: { code: 'DAMAGED' } });
    expect(agent.source.reached).not.toContain('planRestore');
  });

  test('reads the vault that is up, and names each that is not', async () => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    await flow.active.stop();
    const agent = await flow.start();
    expect((await agent.run(flow.restore('r1', file))).outcome?.$case).toBe('restore');
    expect(await agent.source.content()).toBe(text);
    await agent.source.write('what came later');
    await damage(flow.standby, file.archive?.key);
    const { outcome } = await agent.run(flow.restore('r2', file));
    expect(outcome).toMatchObject({
      $case: 'failed',
      value: { message: expect.stringMatching(/mn1.*; and .*archive is not what was stored/) as string },
    });
    await flow.active.restart();
  });

  test.each(['planRestore', 'prepareRestore', 'stage'])('that fails at "%s" never touches the old state', async (point) => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    const agent = await flow.start({ [point]: fail('no room') });
    expect((await agent.run(flow.restore('r1', file))).outcome).toMatchObject({ $case: 'failed', value: { message: 'no room' } });
    expect(agent.source.reached).not.toContain('rollBack');
    expect(await agent.source.content()).toBe('what came later');
    expect(agent.source.leftovers()).toEqual([]);
  });

  test.each(['saveUndo', 'halfSwitched', 'check', 'markCommitted'])(
    'that fails at "%s" is rolled back and says so',
    async (point) => {
      await using flow = await openFlow();
      const { file } = await lost(flow);
      const agent = await flow.start({ [point]: fail('it does not start') });
      expect((await agent.run(flow.restore('r1', file))).outcome).toMatchObject({
        $case: 'failed',
        value: { message: expect.stringMatching(/it does not start; it was rolled back/) as string },
      });
      expect(await agent.source.content()).toBe('what came later');
      expect(agent.source.leftovers()).toEqual([]);
      expect(await readdir(join(flow.directory, 'journal'))).toEqual(['r1.finished']);
    },
  );

  test.each(['stage', 'halfSwitched', 'check'])(
    'that is stopped at "%s" leaves the old state, and tells the reason',
    async (point) => {
      await using flow = await openFlow();
      const { file } = await lost(flow);
      const agent = await flow.start({ [point]: hang });
      await agent.give(flow.restore('r1', file));
      await agent.source.come(point);
      agent.runner.cancel('r1', 'by admin');
      const { outcome } = await agent.endOf('r1');
      const said = point === 'stage' ? /^by admin/ : /^by admin; .*it was rolled back/;
      expect(outcome).toMatchObject({ $case: 'stopped', value: { message: expect.stringMatching(said) as string } });
      expect(await agent.source.content()).toBe('what came later');
      expect(agent.source.leftovers()).toEqual([]);
    },
  );

  test('waits while the one before it, which was stopped, still rolls back', async () => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    const rolledBack = Promise.withResolvers<void>();
    let checks = 0;
    const agent = await flow.start({
      check: (signal) => (++checks === 1 ? hang(signal) : Promise.resolve()),
      rollBack: () => rolledBack.promise,
    });
    await agent.give(flow.restore('r1', file));
    await agent.source.come('check');
    agent.runner.cancel('r1', 'by admin');
    await agent.source.come('rollBack');
    await agent.give(flow.restore('r2', file));
    rolledBack.resolve();
    expect((await agent.endOf('r2')).outcome?.$case).toBe('restore');
    const { reached } = agent.source;
    expect(reached.indexOf('finish')).toBeLessThan(reached.lastIndexOf('planRestore'));
    expect(await agent.source.content()).toBe(text);
  });

  test('whose old state cannot be removed is no failure', async () => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    const agent = await flow.start({ commit: fail('busy') });
    expect((await agent.run(flow.restore('r1', file))).outcome?.$case).toBe('restore');
    expect(await agent.source.content()).toBe(text);
    expect(agent.logs.join('\n')).toContain('warn busy');
  });

  test('whose roll back fails too ends in an unknown state, and keeps how to go back', async () => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    const agent = await flow.start({
      check: fail('it does not start'),
      rollBack: fail('nor does the old one', 'Free the disk.'),
    });
    expect((await agent.run(flow.restore('r1', file))).outcome).toMatchObject({
      $case: 'unknownState',
      value: {
        code: 'UNKNOWN_STATE',
        hint: 'Free the disk. Follow docs/failures.md, "Restore and roll back failed".',
        message: expect.stringMatching(/it does not start; and then nor does the old one/) as string,
      },
    });
    expect(agent.source.leftovers()).toHaveLength(1);
    expect(await readdir(join(flow.directory, 'journal'))).toEqual(['r1.finished', 'r1.undo']);
  });
});

describe('a restore whose agent is killed', () => {
  test.each([
    'prepareRestore',
    'stage',
    'switchOver',
    'saveUndo',
    'undoSaved',
    'halfSwitched',
    'check',
    'rollBack',
    'markCommitted',
  ])('at "%s" leaves the old state in place after the next start', async (point) => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    const agent = await flow.start(point === 'rollBack' ? { check: fail('no'), rollBack: hang } : { [point]: hang });
    await agent.give(flow.restore('r1', file));
    await agent.source.come(point);
    await agent.kill();
    const restarted = await flow.start();
    expect((await restarted.endOf('r1')).outcome).toMatchObject({
      $case: 'failed',
      value: { message: expect.stringContaining('died in mid-run') as string },
    });
    expect(await restarted.source.content()).toBe('what came later');
    expect(restarted.source.leftovers()).toEqual([]);
    expect(await readdir(join(flow.directory, 'journal'))).toEqual(['r1.finished']);
  });

  test.each(['commit', 'finish'])('at "%s" has succeeded: nothing is put back after the next start', async (point) => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    const agent = await flow.start({ [point]: hang });
    await agent.give(flow.restore('r1', file));
    await agent.source.come(point);
    await agent.kill();
    const restarted = await flow.start();
    expect((await restarted.endOf('r1')).outcome).toMatchObject({
      $case: 'restore',
      value: { checks: [expect.stringContaining('every check had passed')] },
    });
    expect(restarted.source.reached).not.toContain('undoRestore');
    expect(restarted.source.leftovers()).toEqual([]);
    expect(await restarted.source.content()).toBe(text);
  });

  test('after its checks, and whose undo was spoilt meanwhile, has succeeded, and says what still lies beside', async () => {
    await using flow = await openFlow();
    const { file, text } = await lost(flow);
    const agent = await flow.start({ commit: hang });
    await agent.give(flow.restore('r1', file));
    await agent.source.come('commit');
    await agent.kill();
    await writeFile(join(flow.directory, 'journal', 'r1.undo'), '{');
    const restarted = await flow.start();
    expect((await restarted.endOf('r1')).outcome?.$case).toBe('restore');
    expect(restarted.logs.join('\n')).toMatch(/warn .*r1\.undo.*it still lies beside/);
    expect(await restarted.source.content()).toBe(text);
  });

  test('and whose putting back fails, or whose undo was spoilt, ends in an unknown state', async () => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    for (const [id, spoil] of [
      ['r1', false],
      ['r2', true],
    ] as const) {
      const agent = await flow.start({ undoSaved: hang });
      await agent.give(flow.restore(id, file));
      await agent.source.come('undoSaved');
      await agent.kill();
      if (spoil) await writeFile(join(flow.directory, 'journal', `${id}.undo`), '{');
      const restarted = await flow.start({ undoRestore: fail('the old one is gone') });
      expect((await restarted.endOf(id)).outcome).toMatchObject({
        $case: 'unknownState',
        value: { message: expect.stringContaining(spoil ? 'cannot be read' : 'the old one is gone') as string },
      });
      await restarted.kill();
    }
  });

  test('is put right by the start after, when the agent is stopped while it puts it right', async () => {
    await using flow = await openFlow();
    const { file } = await lost(flow);
    const agent = await flow.start({ halfSwitched: hang });
    await agent.give(flow.restore('r1', file));
    await agent.source.come('halfSwitched');
    await agent.kill();
    const stopped = Promise.withResolvers<void>();
    const restarted = await flow.start({ undoRestore: () => stopped.promise });
    await restarted.source.come('undoRestore');
    restarted.stopRecovery();
    stopped.reject(new Error('stopped'));
    await restarted.recovering;
    expect(await restarted.journal.finished()).toEqual([]);
    const third = await flow.start();
    expect((await third.endOf('r1')).outcome?.$case).toBe('failed');
    expect(await third.source.content()).toBe('what came later');
  });
});
