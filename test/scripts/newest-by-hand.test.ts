/** The function of docs/restore-by-hand.md that finds what to restore, where a vault makes it easy to take the wrong one. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';

let vault: string;
beforeEach(async () => {
  vault = await mkdtemp(join(tmpdir(), 'holdfast-newest-'));
});
afterEach(() => rm(vault, { recursive: true, force: true }));

async function backup(directory: string): Promise<string> {
  const archive = join(vault, directory, '0.1.0_x.tar.zst');
  await mkdir(join(vault, directory), { recursive: true });
  await writeFile(archive, directory);
  await writeFile(join(vault, directory, 'manifest.json'), createHash('sha256').update(directory).digest('hex'));
  return archive;
}

async function newest(source: string) {
  const page = await readFile('docs/restore-by-hand.md', 'utf8');
  const body = /^newest\(\) \{[\s\S]*?^\}$/m.exec(page)?.[0] ?? '';
  return execa('bash', ['-euo', 'pipefail', '-c', `${body}\nnewest ${source}`], { env: { VAULT: vault }, reject: false });
}

test('the newest is the one whose run began last, whenever its files were copied', async () => {
  const old = await backup('default_20260101000000/OMS_20260102000000');
  const last = await backup('nightly_20250101000000/OMS_20260103000000');
  const soon = new Date('2026-02-01');
  await utimes(join(old, '..', 'manifest.json'), soon, soon);
  expect((await newest('OMS')).stdout).toBe(last);
});

test('a task that is named after a source does not pass for it', async () => {
  const right = await backup('default_20260101000000/OMS_20260102000000');
  await backup('OMS_20260101000000/LdapServer_20260103000000');
  await backup('OMS_nightly_20260101000000/DBService_20260103000000');
  expect((await newest('OMS')).stdout).toBe(right);
});

test('a source without a backup is told as that', async () => {
  await backup('default_20260101000000/OMS_20260102000000');
  const { exitCode, stderr } = await newest('NameNode');
  expect([exitCode, stderr]).toEqual([1, `there is no backup of NameNode in ${vault}: try the other node`]);
});

test('an archive that is not what its manifest says is refused', async () => {
  const archive = await backup('default_20260101000000/OMS_20260102000000');
  await writeFile(archive, 'something else');
  const { exitCode, stderr } = await newest('OMS');
  expect([exitCode, stderr]).toEqual([1, `${archive} is damaged: try the other node`]);
});
