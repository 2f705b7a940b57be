/** What is broken around a run that itself goes on: a full disk, a damaged archive, a wrong password. Each ends with a run that succeeds. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import {
  connectAdmin,
  directory,
  filesOfVault,
  holdfast,
  lab,
  script,
  setsOf,
  start,
  stop,
  vaultDirectory,
  waitForAgent,
} from './cluster.ts';

const TASK = 'oms_on_bad_days';
let admin: AdminServiceClient;
beforeAll(async () => {
  admin = await connectAdmin();
  const made = await holdfast('task', 'create', TASK, '--source', 'OMS', '--copies', '5');
  expect(made.exitCode, made.all).toBe(0);
});
afterAll(() => admin.close());

async function succeeds(): Promise<void> {
  const { exitCode, all } = await holdfast('task', 'run', TASK, '--wait');
  expect(exitCode, all).toBe(0);
}

async function newestSet(): Promise<string> {
  return (await setsOf(admin, TASK))[0]?.id ?? '';
}

describe('the disk of the active vault', () => {
  const data = join(directory, 'data', 'mn1');
  const copy = join(directory, 'data', 'mn1.copy');
  const configurations = [join(directory, 'controller/controller.yaml'), join(directory, 'nodes/mn1/agent.yaml')];
  const daemons = ['controller', 'mn1'];

  /** Small enough for a tmpfs, whose free space is always below what a vault is asked to keep. */
  async function restartWith(minimumFree: string): Promise<void> {
    for (const path of configurations) {
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(/minimumFree: .*/, `minimumFree: ${minimumFree}`));
    }
    for (const daemon of daemons) await start(daemon);
    for (const node of ['mn1', 'dn1']) await waitForAgent(admin, node, true);
  }

  test('that fills up fails the run saying so; nothing incomplete stays, earlier sets stay good, the next run succeeds', async () => {
    await succeeds();
    const good = await newestSet();
    for (const daemon of daemons) await stop(daemon);
    await execa('cp', ['-a', data, copy]);
    const { stdout: used } = await execa('du', ['-sk', '--apparent-size', data]);
    await execa('mount', ['-t', 'tmpfs', '-o', `size=${Number.parseInt(used, 10) + 1500}k,mode=700`, 'holdfast-e2e', data]);
    try {
      await execa('cp', ['-a', `${copy}/.`, data]);
      await restartWith('1 KB');
      const files = await filesOfVault('mn1');

      const { exitCode, all } = await holdfast('task', 'run', TASK, '--wait');
      expect(exitCode, all).toBe(9);
      expect(all).toMatch(/error: .*partition[\s\S]*next: Free space/);
      expect(await filesOfVault('mn1')).toEqual(files);
      expect(await filesOfVault('mn2')).toEqual(files);
      const verified = await holdfast('set', 'verify', good);
      expect(verified.exitCode, verified.all).toBe(0);

      await execa('mount', ['-o', 'remount,size=200m', data]);
      await succeeds();
    } finally {
      for (const daemon of daemons) await stop(daemon);
      await rm(copy, { recursive: true });
      await execa('cp', ['-a', data, copy]);
      await execa('umount', [data]);
      await execa('cp', ['-a', `${copy}/.`, data]);
      await rm(copy, { recursive: true });
      await restartWith('1 GB');
    }
  }, 180_000);
});

describe('an archive', () => {
  async function archiveOf(setId: string): Promise<string> {
    const shown = JSON.parse((await holdfast('set', 'show', setId, '--json')).stdout) as {
      files: { archive: { key: string } }[];
    };
    return shown.files[0]?.archive.key ?? '';
  }

  test('damaged on both vaults is named by verify and restored from by nobody; on one of them, the other is read', async () => {
    await succeeds();
    const setId = await newestSet();
    const key = await archiveOf(setId);
    const archives = ['mn1', 'mn2'].map((node) => join(vaultDirectory(node), key));
    const sound = await readFile(archives[0] ?? '');
    const altered = Buffer.from(sound);
    altered.writeUInt8(altered.readUInt8(sound.length >> 1) ^ 1, sound.length >> 1);
    const before = join(lab, 'before-damage');
    await script('lab.sh', 'snapshot', before, 'postgres');

    for (const path of archives) await writeFile(path, altered);
    const verified = await holdfast('set', 'verify', setId);
    expect(verified.exitCode, verified.all).toBe(8);
    expect(verified.stdout).toMatch(/mn1[\s\S]*mn2/);
    await holdfast('restore', 'create', 'from_damaged', '--set', setId);
    const refused = await holdfast('restore', 'start', 'from_damaged', '--yes', '--wait');
    expect(refused.exitCode, refused.all).toBe(8);
    await script('lab.sh', 'snapshot', `${before}-now`, 'postgres');
    expect((await script('lab.sh', 'compare', before, `${before}-now`, 'postgres')).exitCode).toBe(0);

    await writeFile(archives[1] ?? '', sound);
    const again = await holdfast('restore', 'start', 'from_damaged', '--yes', '--wait');
    expect(again.exitCode, again.all).toBe(0);
    await writeFile(archives[0] ?? '', sound);
    expect((await holdfast('set', 'verify', setId)).exitCode).toBe(0);
  }, 180_000);
});

describe('a password', () => {
  const secret = join(lab, 'secrets/postgres');

  test('that is wrong fails the run saying so and where to put it right; it is not shown; the next run succeeds', async () => {
    const right = await readFile(secret, 'utf8');
    await writeFile(secret, 'not-this-one-4711\n');
    let failed;
    try {
      failed = await holdfast('task', 'run', TASK, '--wait');
    } finally {
      await writeFile(secret, right);
    }
    expect(failed.exitCode, failed.all).toBe(7);
    expect(failed.stderr).toMatch(/error: .*postgres[\s\S]*next: .*secrets\/postgres/);
    const log = await holdfast('run', 'log', /run (\S+) of/.exec(failed.stderr)?.[1] ?? '');
    expect(failed.all + log.all).not.toContain('not-this-one-4711');
    await succeeds();
  }, 60_000);
});
