import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLdapServerSource, ldapServerSettingsSchema } from '../../agent/sources/ldap-server.ts';
import { decodeFacts } from '../../agent/sources/ldap/facts.ts';
import { createDriver } from './driver.ts';
import type { Kept } from './driver.ts';
import { startLab } from './lab.ts';
import type { Lab } from './lab.ts';

/** Ends them in reverse, also when a later one could not begin. */
const held = new AsyncDisposableStack();
let lab: Lab;
let kept: Kept;
let before: string;
let driver: Awaited<ReturnType<typeof createDriver>>;

function settings(changes: Record<string, unknown> = {}) {
  return ldapServerSettingsSchema.parse({
    configDirectory: join(lab.directory, 'ldap/slapd.d'),
    tlsDirectory: join(lab.directory, 'ldap/tls'),
    url: `ldap://127.0.0.1:${20389 + lab.offset}`,
    start: [lab.bin('ldap-start')],
    stop: [lab.bin('ldap-stop')],
    timeout: '30s',
    ...changes,
  });
}

async function snapshot(): Promise<string> {
  await lab.run('snapshot', join(lab.directory, 'shot'), 'ldap');
  return readFile(join(lab.directory, 'shot/ldap.ldif'), 'utf8');
}

/** Beside the directories of slapd: what a restore staged or kept must be gone. */
async function leftovers(): Promise<string[]> {
  return (await readdir(join(lab.directory, 'ldap'))).filter((name) => name.includes('.holdfast-'));
}

beforeAll(async () => {
  lab = held.use(await startLab(4000, 'ldap'));
  driver = held.use(await createDriver(createLdapServerSource(settings())));
  kept = await driver.backUp();
  before = await snapshot();
});
beforeEach(() => lab.run('up', 'ldap'));
afterAll(() => held.disposeAsync());

async function answers(): Promise<boolean> {
  const { exitCode } = await execa('ldapsearch', ['-x', '-H', settings().url, '-s', 'base', '-b', ''], { reject: false });
  return exitCode === 0;
}

describe('LdapServer', () => {
  test('comes back after everything was destroyed, operational attributes and keys included', async () => {
    expect(before).toMatch(/pwdChangedTime: /);
    expect(before).toMatch(/pwdHistory:/);
    await lab.run('destroy', 'ldap');
    const { checks } = await driver.restore(kept);
    expect(checks.join('\n')).toContain('slapd answers');
    expect(await snapshot()).toBe(before);
    expect(await leftovers()).toEqual([]);
  });

  test('goes back to the backup while it runs, stopped and started by the configured commands', async () => {
    await rm(join(lab.directory, 'ldap/tls/ldap.key'), { force: true });
    const asAdmin = ['-x', '-H', settings().url, '-D', 'cn=admin,dc=holdfast,dc=test', '-y', await passwordFile()];
    await execa('ldapdelete', asAdmin.concat('uid=user9,ou=people,dc=holdfast,dc=test'));
    const plan = await driver.plan(kept);
    expect(plan.refusals).toEqual([]);
    expect(plan.mustBeStopped.join()).toContain('slapd');
    expect(plan.overwrites).toContain(join(lab.directory, 'ldap/slapd.d'));
    await driver.restore(kept);
    expect(await snapshot()).toBe(before);
    expect(await answers()).toBe(true);
  });

  test('is restored into another directory without touching what runs', async () => {
    const directory = join(lab.directory, 'elsewhere');
    const other = await createDriver(createLdapServerSource(settings({ stop: ['/bin/false'], start: ['/bin/false'] })));
    await other.restore(kept, { changes: { directory } });
    expect(await answers()).toBe(true);
    const { stdout } = await execa('slapcat', ['-F', join(directory, 'slapd.d'), '-n', '1']);
    expect(before).toContain(stdout);
    expect((await readdir(join(directory, 'tls'))).length).toBeGreaterThan(0);
    // What the plan asks for is twice what each took.
    const { allocated } = decodeFacts(kept.facts);
    for (const [was, built] of [
      ['slapd.d', 'slapd.d'],
      ['data', 'database-1'],
    ] as const) {
      const { stdout: used } = await execa('du', ['-s', '-B1', join(directory, built)]);
      expect(allocated[join(lab.directory, 'ldap', was)]! * 2n).toBeGreaterThanOrEqual(BigInt(used.split('\t')[0]!));
    }
    expect((await other.plan(kept, { directory })).refusals.join()).toContain('exists');
    await rm(directory, { recursive: true });
    await other[Symbol.asyncDispose]();
  });

  test('is restored with several databases, one glued below another, and whose they are', async () => {
    const root = await mkdtemp(join(lab.directory, 'several-'));
    const config = join(root, 'slapd.d');
    await loadSeveral(root, config);
    await execa('chown', ['-R', '54321:openldap', join(root, 'second')]);
    await chmod(join(root, 'second'), 0o750);
    await using several = await createDriver(
      createLdapServerSource(settings({ configDirectory: config, tlsDirectory: undefined })),
    );
    const directory = join(root, 'restored');
    await several.restore(await several.backUp(), { changes: { directory } });
    for (const [number, entries] of [
      [1, 2],
      [2, 1],
      [3, 1],
    ] as const) {
      const restored = await dump(join(directory, 'slapd.d'), number);
      expect(restored).toBe(await dump(config, number));
      expect(restored.match(/^dn: /gm)).toHaveLength(entries);
    }
    expect((await execa('stat', ['-c', '%u:%G %a', join(directory, 'database-3')])).stdout).toBe('54321:openldap 750');
  });

  test('in another directory, cut off by a death, is undone without touching what runs', async () => {
    const directory = join(lab.directory, 'cut-off');
    const { undo } = await driver.restore(kept, { changes: { directory }, dieAfterSwitch: true });
    const pid = await readFile(join(lab.directory, 'run/ldap.pid'), 'utf8');
    for (let n = 0; n < 2; n++) await driver.undo(undo ?? {});
    expect(await answers()).toBe(true);
    expect(await readFile(join(lab.directory, 'run/ldap.pid'), 'utf8')).toBe(pid);
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  });

  test('is known to run by an address of TLS too, whoever signed its certificate', async () => {
    const url = `ldaps://127.0.0.1:${20636 + lab.offset}`;
    await using secure = await createDriver(createLdapServerSource(settings({ url })));
    expect((await secure.plan(kept)).mustBeStopped.join()).toContain(`answers at ${url}`);
  });

  test('is not restored where its keys have no place, or where a directory cannot be renamed', async () => {
    await using keyless = await createDriver(createLdapServerSource(settings({ tlsDirectory: undefined })));
    expect((await keyless.plan(kept)).refusals.join()).toContain('tlsDirectory');
    await using nested = await createDriver(createLdapServerSource(settings({ tlsDirectory: join(lab.directory, 'ldap') })));
    expect((await nested.plan(kept)).refusals.join()).toContain('lies in');
    await using mounted = await createDriver(createLdapServerSource(settings({ tlsDirectory: '/proc' })));
    expect((await mounted.plan(kept)).refusals.join()).toContain('mount point');
    const tlsDirectory = join(lab.directory, 'tls-link');
    await symlink(join(lab.directory, 'ldap/tls'), tlsDirectory);
    await using linked = await createDriver(createLdapServerSource(settings({ tlsDirectory })));
    expect((await linked.plan(kept)).refusals.join()).toContain('is a link');
  });
});

/** Three databases: ou=below of its own, glued to that above it, and another. */
async function loadSeveral(root: string, config: string): Promise<void> {
  const database = (name: string, suffix: string, more = '') =>
    `dn: olcDatabase=mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: mdb
olcSuffix: ${suffix}
olcDbDirectory: ${join(root, name)}
${more}
`;
  const head = `dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: back_monitor

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif

dn: olcDatabase=monitor,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {4}monitor

`;
  const databases = [
    database('below', 'ou=below,o=one', 'olcSubordinate: TRUE\n'),
    database('first', 'o=one'),
    database('second', 'o=two'),
  ];
  for (const name of ['slapd.d', 'below', 'first', 'second']) await mkdir(join(root, name));
  const add = (number: number, input: string) => execa('slapadd', ['-g', '-F', config, '-n', String(number)], { input });
  const [schema = '', monitor = ''] = head.split(/(?=dn: olcDatabase=monitor)/);
  await add(0, schema + databases.join('') + monitor);
  await add(
    1,
    'dn: ou=below,o=one\nobjectClass: organizationalUnit\nou: below\n\ndn: cn=x,ou=below,o=one\nobjectClass: device\ncn: x\n',
  );
  await add(2, 'dn: o=one\nobjectClass: organization\no: one\n');
  await add(3, 'dn: o=two\nobjectClass: organization\no: two\n');
}

describe('the old state of LdapServer', () => {
  const spoil = (file: string, change: (text: string) => string) => async (unpacked: string) => {
    const path = join(unpacked, 'ldapserver', file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  };

  test.each([
    [
      'the configuration cannot be loaded',
      'config.ldif',
      (text: string) => text.replace('olcDatabase: {1}mdb', 'olcDatabase: {1}nonsense'),
    ],
    [
      'an entry is not of the schema',
      'database-1.ldif',
      (text: string) => text.replaceAll('objectClass: inetOrgPerson', 'objectClass: noSuchClass'),
    ],
    ['the data are cut', 'database-1.ldif', (text: string) => text.slice(0, text.length / 2)],
  ])('is not touched when %s', async (_what, file, change) => {
    await expect(driver.restore(kept, { spoil: spoil(file, change) })).rejects.toMatchObject({ name: 'AppError' });
    expect(await snapshot()).toBe(before);
    expect(await answers()).toBe(true);
    expect(await leftovers()).toEqual([]);
  });

  test('comes back when slapd cannot be stopped', async () => {
    const stubborn = await createDriver(createLdapServerSource(settings({ stop: ['/bin/false'] })));
    await expect(stubborn.restore(kept)).rejects.toThrow('stop slapd');
    expect(await snapshot()).toBe(before);
    expect(await answers()).toBe(true);
    expect(await leftovers()).toEqual([]);
    await stubborn[Symbol.asyncDispose]();
  });

  test.each([
    ['the configuration', 0, 'olcPidFile:', 'load cn=config'],
    ['a database', 1, 'mail: user9@', 'load dc=holdfast,dc=test'],
  ])('is not touched when %s was not loaded whole', async (_what, number, lost, words) => {
    // A real slapadd cannot be made to lose a line: from this one it is hidden.
    const lossy = `for from; do :; done
case "$*" in *"-n ${number} "*) ;; *) exec /usr/sbin/slapadd "$@" ;; esac
mv "$from" "$from.whole"; sed '/^${lost}/d' "$from.whole" >"$from"
/usr/sbin/slapadd "$@"; status=$?
mv "$from.whole" "$from"; exit $status`;
    const toolsDirectory = await fakeTools('exec /usr/sbin/slapcat "$@"', lossy);
    await using losing = await createDriver(createLdapServerSource(settings({ toolsDirectory })));
    await expect(losing.restore(kept)).rejects.toThrow(words);
    expect(await leftovers()).toEqual([]);
  });

  test('comes back when the command that stops slapd does nothing', async () => {
    await using idle = await createDriver(createLdapServerSource(settings({ stop: ['/bin/true'] })));
    await expect(idle.restore(kept)).rejects.toThrow('it still runs');
    expect(await snapshot()).toBe(before);
    expect(await leftovers()).toEqual([]);
  });

  test('comes back, and runs again, when the address is wrong', async () => {
    await using lost = await createDriver(createLdapServerSource(settings({ url: 'ldap://127.0.0.1:1' })));
    expect((await lost.plan(kept)).mustBeStopped.join()).toContain('lock.mdb');
    await expect(lost.restore(kept)).rejects.toThrow('does not answer');
    expect(await snapshot()).toBe(before);
    expect(await answers()).toBe(true);
    expect(await leftovers()).toEqual([]);
  });

  test('takes for running what holds the address and says nothing, as a slapd without MDB that hangs', async () => {
    await execa(lab.bin('ldap-stop'));
    await using deaf = createServer((socket) => void socket.resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => deaf.once('listening', resolve));
    const url = `ldap://127.0.0.1:${(deaf.address() as AddressInfo).port}`;
    await using hung = await createDriver(createLdapServerSource(settings({ url })));
    expect((await hung.plan(kept)).mustBeStopped.join()).toContain(`something at ${url} takes connections and says nothing`);
  });

  test('is not put back beneath a slapd that runs on the new one and cannot be stopped', async () => {
    const { undo } = await driver.restore(kept, { dieAfterSwitch: true });
    await execa(lab.bin('ldap-start'));
    await using stubborn = await createDriver(createLdapServerSource(settings({ stop: ['/bin/false'] })));
    await expect(stubborn.undo(undo ?? {})).rejects.toMatchObject({
      code: 'UNKNOWN_STATE',
      message: expect.stringContaining('.holdfast-old-') as string,
    });
    expect(await leftovers()).toHaveLength(3);
    await driver.undo(undo ?? {});
    expect(await snapshot()).toBe(before);
    expect(await leftovers()).toEqual([]);
  });

  test('comes back, and runs, when the restored slapd does not start', async () => {
    // Fails once, as a server would on the new state; the roll back starts the old one.
    const once = join(lab.directory, 'fail-once');
    await writeFile(once, `#!/bin/sh\n[ -e ${once}.done ] && exec ${lab.bin('ldap-start')}\ntouch ${once}.done\nexit 1\n`, {
      mode: 0o755,
    });
    const failing = await createDriver(createLdapServerSource(settings({ start: [once] })));
    await expect(failing.restore(kept)).rejects.toThrow('start slapd');
    expect(await snapshot()).toBe(before);
    expect(await answers()).toBe(true);
    await failing[Symbol.asyncDispose]();
  });

  test('comes back by the journal when the agent dies between switch and commit, however often it is told', async () => {
    const { undo } = await driver.restore(kept, { dieAfterSwitch: true });
    expect(await answers()).toBe(false);
    for (let n = 0; n < 2; n++) await driver.undo(undo ?? {});
    expect(await snapshot()).toBe(before);
    expect(await answers()).toBe(true);
    expect(await leftovers()).toEqual([]);
  });
});

describe('a backup of LdapServer', () => {
  test('fails when its tool is missing, naming it', async () => {
    const source = createLdapServerSource(settings({ toolsDirectory: '/nowhere' }));
    await using broken = await createDriver(source);
    await expect(broken.backUp()).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringContaining('/nowhere/slapd') as string,
    });
  });

  test.each([
    [
      'is of another major version',
      'echo "@(#) \\$OpenLDAP: slapd 3.0.1 \\$" >&2',
      /slapd is of version 3\.0\.1, and 2\.4 and newer of 2 are known/,
    ],
    ['is too old', 'echo "@(#) \\$OpenLDAP: slapd 2.3.43 \\$" >&2', /slapd is of version 2\.3\.43/],
    ["is not OpenLDAP's", 'echo "389-Directory/2.0 slapd 2.4.0"', /slapd is not OpenLDAP's: it answered "389-Directory/],
  ])('fails before anything is dumped when slapd %s', async (_what, body, words) => {
    // Of these no real one can be had: what they say of themselves is all that is looked at.
    const toolsDirectory = await fakeTools('exec /usr/sbin/slapcat "$@"');
    await writeFile(join(toolsDirectory, 'slapd'), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    await using wrong = await createDriver(createLdapServerSource(settings({ toolsDirectory })));
    await expect(wrong.backUp()).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringMatching(words) as string,
      hint: expect.stringContaining('toolsDirectory') as string,
    });
    expect((await wrong.plan(kept)).refusals.join()).toMatch(words);
  });

  test.each([
    ['nothing', ':'],
    ['an empty file', ': >"$to"'],
  ])('fails when slapcat ends well and leaves %s of the configuration', async (_what, body) => {
    await using broken = await createDriver(createLdapServerSource(settings({ toolsDirectory: await fakeTools(body) })));
    await expect(broken.backUp()).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringContaining('ended well and wrote nothing') as string,
    });
  });

  test('fails when slapcat dies in mid-dump', async () => {
    // A real slapcat cannot be made to die at a chosen point: this one writes half an entry and is killed.
    const tools = await fakeTools('printf "dn: cn=config\\nobjectCl" > "$to"; kill -9 $$');
    await using broken = await createDriver(createLdapServerSource(settings({ toolsDirectory: tools })));
    await expect(broken.backUp()).rejects.toThrow('was killed by SIGKILL');
  });

  test('fails when slapcat ends well with half an entry', async () => {
    const tools = await fakeTools('printf "dn: cn=config\\nobjectCl" > "$to"');
    await using broken = await createDriver(createLdapServerSource(settings({ toolsDirectory: tools })));
    await expect(broken.backUp()).rejects.toThrow('did not write it to its end');
  });

  test('fails at the time-out when slapcat hangs', async () => {
    const tools = await fakeTools('sleep 600');
    await using broken = await createDriver(createLdapServerSource(settings({ toolsDirectory: tools, timeout: '1s' })));
    await expect(broken.backUp()).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('fails when the configured directory is not there', async () => {
    await using broken = await createDriver(createLdapServerSource(settings({ configDirectory: '/nowhere/slapd.d' })));
    await expect(broken.backUp()).rejects.toThrow('there is no directory /nowhere/slapd.d');
  });

  test('is estimated by what is allocated, not by the size that a database may grow to', async () => {
    expect((await stat(join(lab.directory, 'ldap/data/data.mdb'))).size).toBeGreaterThan(2 ** 30);
    const io = {
      workDirectory: await workDirectory(),
      signal: AbortSignal.any([]),
      log: () => undefined,
      progress: () => undefined,
    };
    await using prepared = await createLdapServerSource(settings()).prepareBackup({ databases: [], nameService: '' }, io);
    expect(await prepared.estimate()).toBeLessThan(2n ** 26n);
  });

  test('is dumped again when the configuration changes meanwhile', async () => {
    const change = join(lab.directory, 'change.ldif');
    await writeFile(change, 'dn: cn=config\nchangetype: modify\nreplace: olcIdleTimeout\nolcIdleTimeout: 77\n');
    const modify = `ldapmodify -x -H ${settings().url} -D cn=config -y ${await passwordFile()} -f ${change}`;
    const tools = await fakeTools(`/usr/sbin/slapcat "$@"
case "$*" in *"-n 1 "*) [ -e ${change}.done ] || { touch ${change}.done; ${modify}; } ;; esac`);
    await using changing = await createDriver(createLdapServerSource(settings({ toolsDirectory: tools })));
    const changed = await changing.backUp();
    expect(changing.log.join('\n')).toContain('dumping again');
    const directory = join(lab.directory, 'changed');
    await changing.restore(changed, { changes: { directory } });
    expect(await dump(join(directory, 'slapd.d'), 0)).toContain('olcIdleTimeout: 77');
  });

  test('fails when the configuration changes at each of three tries', async () => {
    // As if somebody changed it all the time: each dump of it has another number.
    const count = join(lab.directory, 'dumps');
    await writeFile(count, '');
    const tools = await fakeTools(`/usr/sbin/slapcat "$@" || exit
case "$*" in *"-n 0 "*) echo >>${count}; printf '# %s\\n\\n' "$(wc -l <${count})" >>"$to" ;; esac`);
    await using restless = await createDriver(createLdapServerSource(settings({ toolsDirectory: tools })));
    await expect(restless.backUp()).rejects.toThrow('changed at each of three tries');
    expect(restless.log.filter((line) => line.includes('dumping again'))).toHaveLength(2);
  });
});

/** A directory of tools: the real ones, and this slapcat; $to is the file that it is to write. */
async function fakeTools(slapcat: string, slapadd = 'exec /usr/sbin/slapadd "$@"'): Promise<string> {
  const tools = join(lab.directory, 'fake-tools');
  await rm(tools, { recursive: true, force: true });
  await mkdir(tools);
  const script = async (name: string, body: string) => writeFile(join(tools, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  await script('slapd', 'exec /usr/sbin/slapd "$@"');
  await script('slapcat', `for to; do :; done\n${slapcat}`);
  await script('slapadd', slapadd);
  return tools;
}

async function workDirectory(): Promise<string> {
  return mkdtemp(join(lab.directory, 'work-'));
}

async function dump(config: string, number: number): Promise<string> {
  return (await execa('slapcat', ['-g', '-F', config, '-n', String(number)])).stdout;
}

async function passwordFile(): Promise<string> {
  const path = join(lab.directory, 'password-without-newline');
  await writeFile(path, (await readFile(join(lab.directory, 'secrets/ldap'), 'utf8')).trim(), { mode: 0o600 });
  return path;
}
