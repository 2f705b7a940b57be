import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLdapServerSource, ldapServerSettingsSchema } from '../../agent/sources/ldap-server.ts';
import { createDriver } from './driver.ts';
import type { Kept } from './driver.ts';
import { startLab } from './lab.ts';
import type { Lab } from './lab.ts';

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
  lab = await startLab(4000, 'ldap');
  driver = await createDriver(createLdapServerSource(settings()));
  kept = await driver.backUp();
  before = await snapshot();
});
beforeEach(() => lab.run('up', 'ldap'));
afterAll(async () => {
  await driver[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

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
    expect((await other.plan(kept, { directory })).refusals.join()).toContain('exists');
    await rm(directory, { recursive: true });
    await other[Symbol.asyncDispose]();
  });
});

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

  test('fails when slapcat dies in mid-dump', async () => {
    // A real slapcat cannot be made to die at a chosen point: this one writes half an entry and is killed.
    const tools = await fakeTools('printf "dn: cn=config\\nobjectCl" > "$6"; kill -9 $$');
    await using broken = await createDriver(createLdapServerSource(settings({ toolsDirectory: tools })));
    await expect(broken.backUp()).rejects.toThrow('was killed by SIGKILL');
  });

  test('fails when slapcat ends well with half an entry', async () => {
    const tools = await fakeTools('printf "dn: cn=config\\nobjectCl" > "$6"');
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

  async function fakeTools(slapcat: string): Promise<string> {
    const tools = join(lab.directory, 'fake-tools');
    await rm(tools, { recursive: true, force: true });
    await mkdir(tools);
    await writeFile(join(tools, 'slapd'), '#!/bin/sh\nexec /usr/sbin/slapd "$@"\n', { mode: 0o755 });
    await writeFile(join(tools, 'slapcat'), `#!/bin/sh\n${slapcat}\n`, { mode: 0o755 });
    return tools;
  }
});

async function passwordFile(): Promise<string> {
  const path = join(lab.directory, 'password-without-newline');
  await writeFile(path, (await readFile(join(lab.directory, 'secrets/ldap'), 'utf8')).trim(), { mode: 0o600 });
  return path;
}
