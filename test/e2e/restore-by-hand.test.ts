/** Executes docs/restore-by-hand.md as it stands, after a disaster, and compares. Nothing of Holdfast takes part. */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { lab, script, vaultDirectory } from './cluster.ts';

let work: string;
let blocks: Map<string, string>;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'holdfast-by-hand-'));
  const page = await readFile('docs/restore-by-hand.md', 'utf8');
  blocks = new Map(
    page
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split('\n', 1)[0] ?? '', /```bash\n([\s\S]*?)```/.exec(section)?.[1] ?? '']),
  );
  await script('lab.sh', 'destroy');
});
afterAll(() => rm(work, { recursive: true, force: true }));

async function follow(heading: string): Promise<void> {
  const block = [...blocks].find(([title]) => title.startsWith(heading))?.[1] ?? '';
  expect(block, `the page has a block for ${heading}`).not.toBe('');
  await execa('bash', ['-euo', 'pipefail', '-c', block], {
    env: {
      VAULT: vaultDirectory('mn2'),
      WORK: work,
      PGHOST: '127.0.0.1',
      PGPORT: String(25432 + Number(inject('portOffset'))),
      PGUSER: 'postgres',
      PGPASSWORD: (await readFile(join(lab, 'secrets/postgres'), 'utf8')).trim(),
      OMS_CONF: join(lab, 'oms/conf'),
      SLAPD_D: join(lab, 'ldap/slapd.d'),
      LDAP_DATA: join(lab, 'ldap/data'),
      LDAP_TLS: join(lab, 'ldap/tls'),
      LDAP_START: join(lab, 'bin/ldap-start'),
      NAME_DIR: join(lab, 'hdfs/name'),
      NAMENODE_START: join(lab, 'bin/namenode-start'),
    },
    // A started daemon would keep a pipe open, and we would wait for its end.
    stdout: { file: join(work, 'output') },
    stderr: { file: join(work, 'errors') },
  }).catch(async (error: unknown) => {
    throw new Error(await readFile(join(work, 'errors'), 'utf8'), { cause: error });
  });
}

describe('by hand', () => {
  test('each archive is found, checked against its manifest and opened with tar --zstd', async () => {
    await follow('Find the newest');
    expect((await readdir(work)).toSorted()).toEqual(expect.arrayContaining(['DBService', 'LdapServer', 'NameNode', 'OMS']));
  });

  test.each(['OMS', 'DBService', 'LdapServer', 'NameNode'])('%s is brought back', (source) => follow(source), 120_000);

  test('everything is as it was before', async () => {
    await script('lab.sh', 'snapshot', join(work, 'after'));
    const { stdout } = await execa('diff', ['-r', join(lab, 'before'), join(work, 'after')], { reject: false });
    expect(stdout).toBe('');
  });
});
