import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  checkPlacement,
  commitPlacement,
  leftoversOf,
  placementSteps,
  removeStaged,
  stagePlacement,
  undoPlacement,
} from '../../../agent/sources/configuration/placement.ts';
import { measureTree, requireSameTree } from '../../../agent/sources/configuration/tree.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const TIME = '20261124093000';
let base: string;
let from: string;
let path: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'holdfast-placement-'));
  from = join(base, 'unpacked');
  path = join(base, 'etc', 'app');
  await mkdir(join(from, 'sub'), { recursive: true });
  await writeFile(join(from, 'a'), 'new');
  await writeFile(join(from, 'sub', 'b'), 'new too');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'a'), 'old');
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

describe('a staged path', () => {
  it('takes the place of the old one, which is gone after the commit', async () => {
    const placed = await stagePlacement(from, path, TIME, never);
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('old');
    for (const step of placementSteps(placed)) await step();
    expect(await checkPlacement(placed)).toContain(path);
    expect(await leftoversOf(path)).toEqual([placed.old]);
    await commitPlacement(placed);
    expect(await readFile(join(path, 'sub', 'b'), 'utf8')).toBe('new too');
    expect(await readdir(join(base, 'etc'))).toEqual(['app']);
  });

  it('may be a single file', async () => {
    const file = join(base, 'etc', 'app.conf');
    const placed = await stagePlacement(join(from, 'a'), file, TIME, never);
    for (const step of placementSteps(placed)) await step();
    await commitPlacement(placed);
    expect(await readFile(file, 'utf8')).toBe('new');
  });

  it('does not replace what came to its place since it was staged', async () => {
    const file = join(base, 'etc', 'app.conf');
    const placed = await stagePlacement(join(from, 'a'), file, TIME, never);
    await writeFile(file, 'written meanwhile');
    await expect(placementSteps(placed)[0]?.()).rejects.toThrow('something came to that place meanwhile');
    await undoPlacement(placed);
    expect(await readFile(file, 'utf8')).toBe('written meanwhile');
  });

  it('may be a symbolic link, which is not followed', async () => {
    await symlink('/nowhere', join(base, 'link'));
    const placed = await stagePlacement(join(base, 'link'), path, TIME, never);
    for (const step of placementSteps(placed)) await step();
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    await undoPlacement(placed);
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('old');
  });

  it('removes what a dead restore had staged there, and nothing else', async () => {
    await mkdir(`${path}.holdfast-new-20200101000000`);
    await mkdir(`${path}.holdfast-new-mine`);
    const placed = await stagePlacement(from, path, TIME, never);
    await removeStaged(placed);
    expect((await readdir(join(base, 'etc'))).sort()).toEqual(['app', 'app.holdfast-new-mine']);
  });

  it('is not made of what the backup does not hold', async () => {
    await expect(stagePlacement(join(from, 'missing'), path, TIME, never)).rejects.toMatchObject({ code: 'DAMAGED' });
  });

  it('removes the parent directories it made, except those that came into use', async () => {
    const deep = join(base, 'x', 'y', 'z');
    const placed = await stagePlacement(from, deep, TIME, never);
    await writeFile(join(base, 'x', 'used'), '');
    await undoPlacement(placed);
    expect(await readdir(join(base, 'x'))).toEqual(['used']);
  });

  it('is known again after the disk got another device number, as a restart of the machine may give it', async () => {
    const placed = await stagePlacement(from, path, TIME, never);
    expect(placed.identity).toBe(String((await lstat(placed.staged)).ino));
  });

  it('is not taken for what came to the path after it was undone, though that may get the same inode', async () => {
    const placed = await stagePlacement(from, path, TIME, never);
    for (const step of placementSteps(placed)) await step();
    await undoPlacement(placed);
    await undoPlacement({ ...placed, identity: String((await lstat(path)).ino) });
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('old');
  });

  it('is told from what another put there', async () => {
    const placed = await stagePlacement(from, path, TIME, never);
    for (const step of placementSteps(placed)) await step();
    await rename(path, join(base, 'aside'));
    await mkdir(path);
    await expect(checkPlacement(placed)).rejects.toMatchObject({ code: 'FAILED' });
  });
});

describe('a copy', () => {
  let copy: string;
  beforeEach(async () => {
    copy = join(base, 'copy');
    await run('cp', ['-aT', from, copy]);
  });

  it('that is the same passes, with the number of its entries', async () => {
    expect(await requireSameTree(from, copy, never)).toBe(4);
    expect(await measureTree(copy)).toEqual({ bytes: 10n, entries: 4 });
  });

  it.each<[string, (copy: string) => Promise<unknown>, string]>([
    ['another content of the same length and time', (at) => overwrite(join(at, 'a'), 'NEW'), 'another content'],
    ['a shorter file', (at) => overwrite(join(at, 'a'), 'ne'), 'another content'],
    ['a missing file', (at) => rm(join(at, 'sub', 'b')), 'modification time|is missing'],
    ['another mode', (at) => chmod(join(at, 'a'), 0o600), 'has mode'],
    ['another time', (at) => utimes(join(at, 'a'), 1, 1), 'modification time'],
    ['a file more', (at) => addKeepingTime(at), '5 entries instead of 4'],
    [
      'a link in place of a file',
      (at) => rm(join(at, 'a')).then(() => symlink('sub', join(at, 'a'))),
      'modification time|has mode',
    ],
  ])('with %s does not', async (_what, damage, reason) => {
    await damage(copy);
    const result = requireSameTree(from, copy, never);
    await expect(result).rejects.toMatchObject({ code: 'DAMAGED' });
    await expect(result).rejects.toThrow(new RegExp(reason));
  });
});

async function overwrite(file: string, text: string): Promise<void> {
  const before = await lstat(file, { bigint: true });
  await truncate(file, text.length);
  await writeFile(file, text, { flag: 'r+' });
  await run('touch', ['-d', `@${before.mtimeNs / 10n ** 9n}.${String(before.mtimeNs % 10n ** 9n).padStart(9, '0')}`, file]);
}

async function addKeepingTime(directory: string): Promise<void> {
  const before = await lstat(directory, { bigint: true });
  await link(join(directory, 'a'), join(directory, 'z'));
  await run('touch', ['-d', `@${before.mtimeNs / 10n ** 9n}.${String(before.mtimeNs % 10n ** 9n).padStart(9, '0')}`, directory]);
}
