import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-lab-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function lab(args: readonly string[], env: Record<string, string> = {}) {
  return execa('scripts/lab.sh', args, { env: { HOLDFAST_LAB: join(root, 'lab'), ...env }, reject: false, stdin: 'ignore' });
}

const FILES = { OMS: 'oms.sql', DBService: 'dbservice.sql', LdapServer: 'ldap.ldif', NameNode: 'namenode.txt' };

async function snapshots(): Promise<void> {
  for (const when of ['before', 'after']) {
    await mkdir(join(root, when));
    for (const file of [...Object.values(FILES), 'oms-config.txt']) await writeFile(join(root, when, file), `${file}\n`);
  }
}

const compare = (...components: string[]) => lab(['compare', join(root, 'before'), join(root, 'after'), ...components]);

describe('the comparison of two snapshots', () => {
  beforeEach(snapshots);

  test('names every source identical when nothing differs', async () => {
    const { exitCode, stdout } = await compare();
    expect(exitCode).toBe(0);
    expect(stdout.split('\n').toSorted()).toEqual(
      Object.keys(FILES)
        .map((source) => `${source}: identical`)
        .toSorted(),
    );
  });

  test.each([...Object.entries(FILES), ['OMS', 'oms-config.txt']])('fails when %s differs in %s', async (source, file) => {
    await writeFile(join(root, 'after', file), 'something else\n');
    const { exitCode, stdout } = await compare();
    expect(exitCode).toBe(1);
    expect(stdout.split('\n').filter((line) => !line.endsWith(': identical'))).toEqual([`${source}: different`]);
  });

  test('fails when a snapshot is missing or empty: nothing proves nothing', async () => {
    await rm(join(root, 'after', 'ldap.ldif'));
    expect(await compare('ldap')).toMatchObject({ exitCode: 1, stdout: 'LdapServer: different' });
    await writeFile(join(root, 'before', 'namenode.txt'), '');
    await writeFile(join(root, 'after', 'namenode.txt'), '');
    expect(await compare('hdfs')).toMatchObject({ exitCode: 1, stdout: 'NameNode: unknown' });
  });
});

describe('a directory that the lab did not make', () => {
  beforeEach(async () => {
    await mkdir(join(root, 'lab', 'ldap'), { recursive: true });
    await writeFile(join(root, 'lab', 'ldap', 'precious'), 'kept\n');
  });

  test.each(['up', 'seed', 'destroy', 'reset'])('is refused by %s, and stays as it is', async (verb) => {
    const { exitCode, stderr } = await lab([verb, 'postgres', 'ldap']);
    expect([exitCode, stderr]).toEqual([4, expect.stringMatching(/is no directory of the lab, and is not empty\nnext: /)]);
    expect(await readFile(join(root, 'lab', 'ldap', 'precious'), 'utf8')).toBe('kept\n');
  });

  test('is refused by the quickstart', async () => {
    const { exitCode } = await execa('scripts/quickstart.sh', { env: { HOLDFAST_LAB: join(root, 'lab') }, reject: false });
    expect(exitCode).toBe(4);
    expect(await readdir(join(root, 'lab'))).toEqual(['ldap']);
  });
});

test('a directory is claimed before anything is installed, as the quickstart does on a fresh machine', async () => {
  // Stands for a machine without /usr/lib/postgresql, where find ends with 1.
  await mkdir(join(root, 'bin'));
  await writeFile(join(root, 'bin', 'find'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const { exitCode, stderr } = await lab(['claim'], { PATH: `${join(root, 'bin')}:${process.env['PATH']}` });
  expect([exitCode, stderr]).toEqual([0, '']);
});

test('a lab that the server of PostgreSQL could not reach says so, and what to do', async () => {
  expect(process.getuid?.(), 'only the server that root starts runs as somebody else').toBe(0);
  const { exitCode, stderr } = await lab(['up', 'postgres']);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/the user postgres, who runs the server, may not enter .*\nnext: take a place that others may enter/);
});

test('a port that others use is named, and nothing is started', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  try {
    const { exitCode, stderr } = await lab(['up', 'ldap'], { HOLDFAST_LAB_PORT_OFFSET: String(port - 20_389) });
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(new RegExp(`^error: ports that are in use by others: ${port} \\(ldap\\)\nnext: `));
    expect((await lab(['status', 'ldap'])).stdout).toBe('ldap: stopped');
    const ofLdaps = await lab(['up', 'ldap'], { HOLDFAST_LAB_PORT_OFFSET: String(port - 20_636) });
    expect([ofLdaps.exitCode, ofLdaps.stderr]).toEqual([4, expect.stringContaining(`${port} (ldap)`)]);
  } finally {
    other.close();
  }
});

test.each([[['up', 'kafka']], [['seed', 'ha']], [['failover', 'hdfs']], [['snapshot']], [['compare', 'a']], [['dance']], [[]]])(
  'lab.sh %j is bad input: status 2',
  async (args) => {
    const { exitCode, stderr } = await lab(args);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/usage:|it knows: postgres ldap hdfs/);
  },
);
