/** The machine of the controller is lost with its catalogue: a new one, empty, learns all of it from the two vaults, and restores from it. */
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { connectAdmin, directory, holdfast, lab, start, stop, waitForAgent } from './cluster.ts';

interface ShownSet {
  readonly id: string;
  readonly task: string;
  readonly state: string;
  readonly files: readonly { readonly source: string }[];
}

const state = join(directory, 'controller', 'state');
const away = `${state}.away`;
let admin: AdminServiceClient;
let before: ShownSet[];
let work: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'holdfast-rebuild-'));
  admin = await connectAdmin();
  await everyAgent();
  before = await listed();
  await stop('controller');
  await rename(state, away);
  await start('controller');
  await everyAgent();
});

afterAll(async () => {
  await stop('controller');
  await rm(state, { recursive: true, force: true });
  await rename(away, state);
  await start('controller');
  await everyAgent();
  admin.close();
  await psql('DROP DATABASE IF EXISTS hivemeta_rebuilt');
  await rm(work, { recursive: true, force: true });
});

async function everyAgent(): Promise<void> {
  for (const node of ['mn1', 'mn2', 'dn1']) await waitForAgent(admin, node, true);
}

/** Those whose manifests are there: of one that goes they are gone already. */
async function listed(): Promise<ShownSet[]> {
  const { stdout } = await holdfast('set', 'list', '--json');
  return (JSON.parse(stdout) as ShownSet[]).filter((set) => set.state !== 'deleting');
}

/** What manifests tell: pins and verifications are the catalogue's own. */
function told(sets: readonly ShownSet[]) {
  return sets.map((set) => ({ ...set, pinned: null, verified: null })).toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

async function postgres() {
  const password = (await readFile(join(lab, 'secrets/postgres'), 'utf8')).trim();
  const args = ['-h', '127.0.0.1', '-p', String(25432 + Number(inject('portOffset'))), '-U', 'postgres'];
  return { args, options: { env: { PGPASSWORD: password } } };
}

async function psql(statement: string): Promise<void> {
  const { args, options } = await postgres();
  await execa('psql', ['-q', ...args, '-d', 'postgres', '-c', statement], options);
}

/** Newer versions of pg_dump put a random word into each dump. */
async function dumpOf(database: string): Promise<string> {
  const { args, options } = await postgres();
  const { stdout } = await execa('pg_dump', [...args, '-d', database], options);
  return stdout.replaceAll(/^\\(un)?restrict .*$/gm, '');
}

function newestOf(source: string): ShownSet {
  const found = before.find(({ task, files }) => task === 'default' && files.some((file) => file.source === source));
  if (found === undefined) throw new Error(`no set of default holds ${source}`);
  return found;
}

async function restore(name: string, ...what: string[]): Promise<void> {
  const created = await holdfast('restore', 'create', name, ...what);
  expect(created.exitCode, created.all).toBe(0);
  const done = await holdfast('restore', 'start', name, '--yes', '--wait');
  expect(done.exitCode, done.all).toBe(0);
}

describe('a catalogue that was lost', () => {
  test('is empty at first: nothing is taken for known', async () => {
    expect(before.length).toBeGreaterThan(0);
    expect(await listed()).toEqual([]);
  });

  test('is rebuilt from the vaults: the same sets with the same files on the same nodes', async () => {
    const imported = await holdfast('set', 'import', '--json');
    expect(imported.exitCode, imported.all).toBe(0);
    expect(JSON.parse(imported.stdout)).toEqual({ importedSets: before.length, knownSets: 0, faults: [] });
    expect(told(await listed())).toEqual(told(before));
    const runs = JSON.parse((await holdfast('run', 'list', '--json')).stdout) as { setId: string }[];
    for (const { id } of before) expect(runs.map(({ setId }) => setId)).toContain(id);
  });

  test('asked a second time imports nothing more', async () => {
    const again = JSON.parse((await holdfast('set', 'import', '--json')).stdout);
    expect(again).toEqual({ importedSets: 0, knownSets: before.length, faults: [] });
  });

  test('keeps the sets of tasks that are gone with it', async () => {
    const verdicts = JSON.parse((await holdfast('set', 'prune', '--dry-run', '--json')).stdout) as { stays: boolean }[];
    expect(verdicts).toHaveLength(before.length);
    expect(verdicts.every(({ stays }) => stays)).toBe(true);
  });

  test('verifies each byte of a set that it learnt of', async () => {
    const verified = await holdfast('set', 'verify', newestOf('OMS').id);
    expect(verified.exitCode, verified.all).toBe(0);
  });

  test('restores a database of such a set under another name, the same to the letter', async () => {
    const set = ['--set', newestOf('DBService').id, '--source', 'DBService'];
    await restore('rebuilt_database', ...set, '--rename-database', 'hivemeta=hivemeta_rebuilt');
    expect(await dumpOf('hivemeta_rebuilt')).toBe(await dumpOf('hivemeta'));
  });

  test('restores configuration of such a set into another directory, the same to the byte', async () => {
    const to = join(work, 'restored');
    await restore('rebuilt_files', '--set', newestOf('OMS').id, '--source', 'OMS', '--to-directory', to);
    const conf = (await execa('find', [to, '-type', 'd', '-path', `*${join(lab, 'oms/conf')}`])).stdout;
    expect(conf).not.toBe('');
    const compared = await execa('diff', ['-r', '--no-dereference', join(lab, 'oms/conf'), conf], { reject: false, all: true });
    expect({ exitCode: compared.exitCode, all: compared.all }).toEqual({ exitCode: 0, all: '' });
  });
});
