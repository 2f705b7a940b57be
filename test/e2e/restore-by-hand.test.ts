/** Executes docs/restore-by-hand.md as it stands, after a disaster, and compares. Nothing of Holdfast takes part. */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
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

/** What the quickstart says at its end, it says only when it is so. */
test('the comparison notices when any source differs', async () => {
  const at = (base: number) => String(base + Number(inject('portOffset')));
  const secret = async (name: string) => (await readFile(join(lab, 'secrets', name), 'utf8')).trim();
  const connection = ['-q', '-h', '127.0.0.1', '-p', at(25432), '-U', 'postgres'];
  const env = { PGPASSWORD: await secret('postgres') };
  await execa('psql', [...connection, '-d', 'oms', '-c', "UPDATE t_host SET name = 'changed' WHERE id = 1"], { env });
  await execa('psql', [...connection, '-d', 'hivemeta', '-c', `UPDATE "DBS" SET "NAME" = 'changed' WHERE "DB_ID" = 1`], { env });
  const passwordFile = join(work, 'ldap-password');
  await writeFile(passwordFile, await secret('ldap'), { mode: 0o600 });
  const admin = ['-x', '-H', `ldap://127.0.0.1:${at(20389)}`, '-D', 'cn=admin,dc=holdfast,dc=test', '-y', passwordFile];
  await execa('ldapdelete', [...admin, 'uid=user9,ou=people,dc=holdfast,dc=test']);
  await execa(join(lab, 'bin/hdfs'), ['dfs', '-touchz', '/changed']);
  await script('lab.sh', 'snapshot', join(work, 'changed'));
  const compared = await script('lab.sh', 'compare', join(lab, 'before'), join(work, 'changed')).catch((error: unknown) => error);
  expect(compared).toMatchObject({
    exitCode: 1,
    stdout: ['OMS', 'DBService', 'LdapServer', 'NameNode'].map((source) => `${source}: different`).join('\n'),
  });
});

describe('by hand', () => {
  beforeAll(() => script('lab.sh', 'destroy'));

  test('each archive is found, checked against its manifest and opened with tar --zstd', async () => {
    await follow('Find the newest');
    expect((await readdir(work)).toSorted()).toEqual(expect.arrayContaining(['DBService', 'LdapServer', 'NameNode', 'OMS']));
  });

  const sources = ['OMS', 'DBService', 'LdapServer', 'NameNode'];
  test.each(sources)('%s is brought back', (source) => follow(source), 120_000);

  test('no block of the page was left out', async () => {
    const page = await readFile('docs/restore-by-hand.md', 'utf8');
    expect(page.match(/^```bash$/gm)).toHaveLength(1 + sources.length);
    expect([...blocks.keys()].slice(1)).toEqual(sources);
  });

  test('everything is as it was before', async () => {
    await script('lab.sh', 'snapshot', join(work, 'after'));
    const { stdout } = await execa('diff', ['-r', join(lab, 'before'), join(work, 'after')], { reject: false });
    expect(stdout).toBe('');
  });
});
