import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, inject, test } from 'vitest';
import { directory, filesOfVault, holdfast, lab, vaultDirectory } from './cluster.ts';

describe('the quickstart', () => {
  const output = inject('output');

  test('ends well', () => {
    expect(inject('exitCode'), output).toBe(0);
  });

  test.each(['OMS', 'LdapServer', 'DBService', 'NameNode'])('finds %s identical after the restore', (source) => {
    expect(output.split('\n')).toContain(`${source}: identical`);
  });

  test('shows progress of each source while it runs', () => {
    expect(output).toMatch(/OMS.*\d+(\.\d+)? ?(B|KB|MB|GB)/);
  });

  test('says how to talk to what it left up', () => {
    expect(output).toContain('export HOLDFAST_CONFIG=');
  });
});

describe('what lies in the vaults', () => {
  test('is the same on both management nodes, by name and byte', async () => {
    const files = await filesOfVault('mn1');
    const ofDefault = files.filter((name) => name.startsWith('default_') && name.endsWith('/manifest.json'));
    expect(ofDefault.length % 4).toBe(0);
    expect(ofDefault.length).toBeGreaterThan(0);
    expect(await filesOfVault('mn2')).toEqual(files);
    for (const name of files) {
      const [one, two] = await Promise.all(['mn1', 'mn2'].map((node) => readFile(join(vaultDirectory(node), name))));
      expect(one?.equals(two ?? Buffer.of()), name).toBe(true);
    }
  });

  test('bears the documented names', async () => {
    for (const name of await filesOfVault('mn1')) {
      expect(name).toMatch(
        /^\w+_\d{14}\/(OMS|LdapServer|DBService|NameNode)_\d{14}\/(manifest\.json|[0-9.]+_\w+_\d{14}\.(tar|index)\.zst)$/,
      );
    }
  });

  test('can be read by its owner only: directories 700, files 600', async () => {
    const root = vaultDirectory('mn1');
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      expect((await stat(path)).mode & 0o777, path).toBe(entry.isDirectory() ? 0o700 : 0o600);
    }
  });
});

describe('a secret', () => {
  test('stands in no log, no catalogue, no manifest, no configuration', async () => {
    const secrets = await Promise.all(
      (await readdir(join(lab, 'secrets'))).map(async (name) => (await readFile(join(lab, 'secrets', name), 'utf8')).trim()),
    );
    expect(secrets.length).toBeGreaterThan(0);
    for (const secret of secrets) {
      // -a: the catalogue is binary. Exit status 1: not found anywhere.
      const found = await execa('grep', ['-rlaF', '--exclude=*.tar.zst', '-f', '-', directory], { input: secret, reject: false });
      expect(found.stdout).toBe('');
      expect(found.exitCode).toBe(1);
    }
  });
});

describe('the history', () => {
  test('holds the run with its sources and its log', async () => {
    const runs = await holdfast('run', 'list', '--json');
    expect(runs.exitCode, runs.all).toBe(0);
    const shown = await holdfast('run', 'list');
    expect(shown.stdout).toContain('default');
    expect(shown.stdout).toContain('quickstart_restore');
  });

  test('a restore that succeeded is not executed again', async () => {
    const again = await holdfast('restore', 'start', 'quickstart_restore', '--yes');
    expect(again.exitCode).toBe(4);
    expect(again.stderr).toMatch(/error: .*quickstart_restore/);
    expect(again.stderr).toMatch(/next: ./);
  });
});
