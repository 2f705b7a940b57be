import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLdapServerSource, ldapServerSettingsSchema } from '../../agent/sources/ldap-server.ts';
import { encodeFacts as encodeLdapFacts } from '../../agent/sources/ldap/facts.ts';
import { createNameNodeSource, nameNodeSettingsSchema } from '../../agent/sources/name-node.ts';
import { encodeFacts as encodeNameNodeFacts } from '../../agent/sources/name-node/facts.ts';
import { createOmsSource, omsSettingsSchema } from '../../agent/sources/oms.ts';
import { encodeFacts as encodePostgresFacts } from '../../agent/sources/postgres/facts.ts';
import type { RestorePlan, Source } from '../../agent/sources/source.ts';

const MIB = 2n ** 20n;
/** Of each of the disks, which are real file systems of that size. */
const DISK = 64n;

let root: string;
const at = (path: string) => join(root, path);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-space-'));
  for (const disk of ['work', 'one', 'two']) {
    await mkdir(at(disk));
    await execa('mount', ['-t', 'tmpfs', '-o', `size=${DISK}m`, 'tmpfs', at(disk)]);
  }
});
afterAll(async () => {
  for (const disk of ['work', 'one', 'two']) await execa('umount', [at(disk)]);
  await rm(root, { recursive: true });
});

interface Asked {
  readonly facts: Readonly<Record<string, string>>;
  readonly mib: bigint;
  readonly work?: string;
  readonly directory?: string;
}

async function plan(source: Source, { facts, mib, work = at('work'), directory }: Asked): Promise<RestorePlan> {
  const request = { facts, contentBytes: mib * MIB, renameDatabases: {}, directory };
  const signal = new AbortController().signal;
  return source.planRestore(request, { workDirectory: work, signal, log: () => undefined, progress: () => undefined });
}

/** Of the refusals those for want of space: the services are not there. */
const shortOf = ({ refusals }: RestorePlan) => refusals.filter((line) => line.includes('are needed'));

describe('the restore of a NameNode', () => {
  const facts = encodeNameNodeFacts({
    clusterId: 'CID-1',
    namespaceId: '1',
    blockPoolId: 'BP-1',
    layoutVersion: '-66',
    imageTxid: '10',
    lastTxid: '20',
    owner: 'root:root',
    mode: '700',
    directories: [],
    journals: [],
  });
  const nameNode = (places: readonly string[], changes: Record<string, unknown> = {}) => {
    const [nameDirectory, ...otherNameDirectories] = places.map(at);
    return createNameNodeSource(
      nameNodeSettingsSchema.parse({
        httpAddress: '127.0.0.1:1',
        rpcAddress: '127.0.0.1:1',
        hdfs: '/nowhere/hdfs',
        nameDirectory,
        otherNameDirectories,
        ...changes,
      }),
    );
  };

  test('needs of each disk what is copied to that disk, once for each name directory there', async () => {
    expect(shortOf(await plan(nameNode(['one/name', 'two/name']), { facts, mib: 60n }))).toEqual([]);
    expect(shortOf(await plan(nameNode(['one/a', 'one/b', 'two/c']), { facts, mib: 30n }))).toEqual([]);
    expect(shortOf(await plan(nameNode(['one/a', 'one/b', 'two/c']), { facts, mib: 40n }))).toEqual([
      expect.stringMatching(/83\.9 MB are needed where .*\/one lies, and 67\.1 MB are free/),
    ]);
  });

  test('needs room to unpack it as well', async () => {
    expect(shortOf(await plan(nameNode(['one/name']), { facts, mib: 40n, work: at('one') }))).toHaveLength(1);
    expect(shortOf(await plan(nameNode(['one/name']), { facts, mib: 30n, work: at('one') }))).toEqual([]);
    expect(shortOf(await plan(nameNode(['one/a'], {}), { facts, mib: 65n, directory: join(root, 'elsewhere') }))).toEqual([
      expect.stringContaining(at('work')),
    ]);
  });

  test('needs room for the image that the NameNode writes when it is started on it', async () => {
    const commands = { start: ['/bin/true'], stop: ['/bin/true'] };
    expect(shortOf(await plan(nameNode(['one/name'], commands), { facts, mib: 40n }))).toHaveLength(1);
    expect(shortOf(await plan(nameNode(['one/name'], commands), { facts, mib: 30n }))).toEqual([]);
    expect(shortOf(await plan(nameNode(['one/name'], commands), { facts, mib: 40n, directory: at('two/copy') }))).toEqual([]);
  });

  test('is asked of the disk that a link leads to, which is no mount point', async () => {
    await symlink(at('one'), at('first'));
    await symlink(at('two'), at('second'));
    await mkdir(at('two/name'), { recursive: true });
    const { refusals, freeBytes } = await plan(nameNode(['first/name', 'second/name']), { facts, mib: 60n });
    expect(refusals).toEqual([]);
    expect(freeBytes).toBe(DISK * MIB);
    expect(shortOf(await plan(nameNode(['first/name', 'second/name']), { facts, mib: 65n }))).toHaveLength(3);
    await rm(at('two/name'), { recursive: true });
  });

  test('shows the figures of the disk that is tightest', async () => {
    await writeFile(at('two/full'), Buffer.alloc(Number(16n * MIB)));
    const shown = await plan(nameNode(['one/name', 'two/name']), { facts, mib: 20n });
    expect(shown).toMatchObject({ neededBytes: 20n * MIB, freeBytes: 48n * MIB });
    await rm(at('two/full'));
  });
});

describe('the restore of LdapServer', () => {
  const owner = { owner: 'root:root', mode: '700' };
  const database = (number: number, directory: string) => ({ number, suffix: `o=${number}`, directory, entries: 1 });
  const facts = (allocated: Record<string, bigint>, one = at('one/db'), two = at('two/db')) =>
    encodeLdapFacts({
      version: '2.5.13',
      configDirectory: at('one/slapd.d'),
      databases: [database(1, one), database(2, two)],
      owners: { [at('one/slapd.d')]: owner, [one]: owner, [two]: owner },
      allocated,
      hasTls: false,
    });
  const source = () =>
    createLdapServerSource(
      ldapServerSettingsSchema.parse({
        configDirectory: at('one/slapd.d'),
        url: 'ldap://127.0.0.1:1',
        start: ['/bin/true'],
        stop: ['/bin/true'],
      }),
    );
  const allocated = (one: bigint, two: bigint) => ({
    [at('one/slapd.d')]: MIB,
    [at('one/db')]: one * MIB,
    [at('two/db')]: two * MIB,
  });

  test('needs of each disk for each database twice what it took at the backup', async () => {
    expect(shortOf(await plan(source(), { facts: facts(allocated(30n, 31n)), mib: 2n }))).toEqual([]);
    expect(shortOf(await plan(source(), { facts: facts(allocated(1n, 33n)), mib: 2n }))).toEqual([
      expect.stringContaining(at('two')),
    ]);
    const together = { ...allocated(20n, 0n), [at('one/more')]: 20n * MIB };
    expect(shortOf(await plan(source(), { facts: facts(together, at('one/db'), at('one/more')), mib: 2n }))).toHaveLength(1);
  });

  test('needs room to unpack it and to read it back', async () => {
    expect(shortOf(await plan(source(), { facts: facts(allocated(1n, 1n)), mib: 22n }))).toEqual([
      expect.stringContaining(at('work')),
    ]);
    expect(shortOf(await plan(source(), { facts: facts(allocated(1n, 1n)), mib: 18n }))).toEqual([]);
  });

  test('of a backup that does not say how large they were needs many times its text, once of each disk', async () => {
    expect(shortOf(await plan(source(), { facts: facts({}), mib: 3n }))).toEqual([]);
    expect(shortOf(await plan(source(), { facts: facts({}), mib: 5n }))).toHaveLength(2);
  });
});

describe('the restore of OMS into a directory', () => {
  test('needs room for dumps of which the text is larger than the database was', async () => {
    const facts = encodePostgresFacts({
      serverVersion: '15.1',
      serverMajor: 15,
      dumpMajor: 15,
      databases: [{ name: 'oms', directory: 'oms', bytes: 10n * MIB, roles: [] }],
      configuration: [],
      configurationBytes: 0n,
    });
    const settings = { database: { host: '127.0.0.1', port: 1, user: 'nobody', passwordFile: '/nowhere', name: 'oms' } };
    const source = createOmsSource(omsSettingsSchema.parse(settings));
    const asked = { facts, directory: at('one/copy') };
    expect(shortOf(await plan(source, { ...asked, mib: 60n }))).toEqual([]);
    await writeFile(at('one/full'), Buffer.alloc(Number(16n * MIB)));
    expect(shortOf(await plan(source, { ...asked, mib: 60n }))).toEqual([expect.stringContaining(at('one'))]);
    await rm(at('one/full'));
  });
});
