/** What a vault holds to when others work in it at the same time, or have put something odd into it. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { execa } from 'execa';
import { describe, expect, test, vi } from 'vitest';
import { openStorage } from '../../agent/vault/storage.ts';
import { PREFIX, certificateOf, grant, never, openTestVault } from './test-vault.ts';

const KEY = `${PREFIX}x.tar.zst`;
const some = () => Readable.from([Buffer.from('some bytes')]);

async function incoming(directory: string): Promise<string[]> {
  return readdir(join(directory, '.holdfast', 'incoming'));
}

test('a directory that a death left without a file is gone after the next start', async () => {
  await using vault = await openTestVault();
  await using target = await vault.open();
  await target.put(KEY, some(), never);
  await mkdir(join(vault.directory, 'made_for', 'nothing'), { recursive: true });
  const storage = await openStorage(vault.directory);
  expect((await storage.list('')).map(({ key }) => key)).toEqual([KEY]);
  expect(await readdir(vault.directory)).toEqual(expect.not.arrayContaining(['made_for']));
});

describe('an attempt that was given up', () => {
  test('is fenced even when its transfer began before the newer attempt and ends after it', async () => {
    await using vault = await openTestVault();
    await using older = await vault.open({ grant: grant({ attempt: 1 }) });
    await using newer = await vault.open({ grant: grant({ attempt: 2 }) });
    const slow = new PassThrough();
    const putting = expect(older.put(KEY, slow, never)).rejects.toMatchObject({ code: 'FENCED' });
    slow.write(randomBytes(1000));
    await vi.waitFor(async () => expect(await incoming(vault.directory)).toHaveLength(1));
    // The newer one clears: it finds nothing to delete, and that is its only sign.
    expect(await newer.list(PREFIX, never)).toEqual([]);
    slow.end();
    await putting;
    expect(await newer.list(PREFIX, never)).toEqual([]);
    expect(await incoming(vault.directory)).toEqual([]);
    expect((await vault.space()).usedByBackupsBytes).toBe(0n);
  });

  test('may still be read by whoever holds its grant', async () => {
    await using vault = await openTestVault();
    await using older = await vault.open({ grant: grant({ attempt: 1 }) });
    await older.put(KEY, some(), never);
    await using newer = await vault.open({ grant: grant({ attempt: 2 }) });
    await newer.list(PREFIX, never);
    expect(await older.list(PREFIX, never)).toHaveLength(1);
    expect((await buffer(await older.get(KEY, never))).toString()).toBe('some bytes');
  });

  test('of one source fences no other source of the same run, however long the names', async () => {
    const task = `${'t'.repeat(128)}_20260101000000`;
    const [oms, ldap] = [`${task}/OMS_20260102000000/`, `${task}/LdapServer_20260102000000/`];
    const run = 'r'.repeat(64);
    await using vault = await openTestVault();
    await using second = await vault.open({ grant: grant({ run, attempt: 2, prefixes: [oms] }) });
    await second.put(`${oms}x`, some(), never);
    await using first = await vault.open({ grant: grant({ run, attempt: 1, prefixes: [ldap] }) });
    await first.put(`${ldap}x`, some(), never);
  });
});

describe('a listing', () => {
  test('takes a prefix that ends within a name', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open();
    for (const name of ['ab/c', 'abc', 'b']) await target.put(PREFIX + name, some(), never);
    const listed = await target.list(`${PREFIX}ab`, never);
    expect(listed.map(({ key }) => key)).toEqual([`${PREFIX}ab/c`, `${PREFIX}abc`]);
  });

  test('is whole although others delete at the same time', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-list-'));
    const storage = await openStorage(directory);
    await mkdir(join(directory, 'kept'));
    await writeFile(join(directory, 'kept', 'x'), '');
    const keys = Array.from({ length: 400 }, (_, n) => `going/d${n}/x`);
    for (const key of keys) {
      await mkdir(join(directory, key, '..'), { recursive: true });
      await writeFile(join(directory, key), '');
    }
    let deleting = true;
    const gone = (async () => {
      for (const key of keys) await storage.remove(key);
      deleting = false;
    })();
    while (deleting) expect((await storage.list('')).at(-1)?.key).toBe('kept/x');
    await gone;
    await rm(directory, { recursive: true });
  });

  test('shows neither links nor what they lead to', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open();
    await target.put(KEY, some(), never);
    await symlink('/etc', join(vault.directory, PREFIX, 'etc'));
    await symlink('/etc/passwd', join(vault.directory, PREFIX, 'passwd'));
    expect((await target.list(PREFIX, never)).map(({ key }) => key)).toEqual([KEY]);
  });
});

describe('a key where no file lies', () => {
  test('but a link, a directory or a pipe is refused, and never waited for', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open();
    await target.put(KEY, some(), never);
    await mkdir(join(vault.directory, PREFIX, 'directory'));
    await symlink('/etc/passwd', join(vault.directory, PREFIX, 'link'));
    await execa('mkfifo', [join(vault.directory, PREFIX, 'pipe')]);
    for (const name of ['directory', 'link', 'pipe']) {
      await expect(target.get(PREFIX + name, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
      await expect(target.put(PREFIX + name, some(), never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
      await expect(target.delete(PREFIX + name, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }
    expect(await incoming(vault.directory)).toEqual([]);
    expect((await vault.space()).usedByBackupsBytes).toBe(10n);
  });

  test('because it is no proper text is called bad input', async () => {
    await using vault = await openTestVault();
    const { key, cert, ca } = await certificateOf('dn1');
    const session = connect(vault.url, { key, cert, ca });
    const stream = session.request({ ':path': '/%zz', 'x-holdfast-grant': grant() });
    expect(JSON.parse((await buffer(stream)).toString())).toMatchObject({ code: 'INVALID' });
    session.destroy();
  });
});

describe('a peer', () => {
  test('without a certificate gets no answer at all', async () => {
    await using vault = await openTestVault();
    const { ca } = await certificateOf('dn1');
    const session = connect(vault.url, { ca });
    const stream = session.request({ ':path': '/?space' });
    const answered = vi.fn<() => void>();
    stream.on('response', answered);
    session.on('error', () => undefined);
    await expect(once(stream, 'close')).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_SSL|^ECONNRESET/) as string });
    expect(answered).not.toHaveBeenCalled();
    session.destroy();
  });

  test('that is no agent is not even told the space', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open({ tls: await certificateOf('dn1', 'controller') });
    await expect(target.freeSpace(never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});

test('a full partition is named in the error, with what is free and what was to be written', async () => {
  const mount = await mkdtemp(join(tmpdir(), 'holdfast-full-'));
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount]);
  try {
    await using vault = await openTestVault({ directory: mount });
    await using target = await vault.open();
    const bytes = Readable.from(Array.from({ length: 12 }, () => randomBytes(1024 * 1024)));
    await expect(target.put(KEY, bytes, never)).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringMatching(
        new RegExp(
          `in the vault of node ${vault.node}: the partition of ${vault.directory} has .+ free, and .+ more were to be written`,
        ),
      ) as string,
    });
  } finally {
    await execa('umount', [mount]);
    await rm(mount, { recursive: true });
  }
});

test.each([
  ['begin a file', 5],
  ['make its directory', 6],
])('a partition without room to %s refuses it, saying so, and keeps nothing of it', async (_what, inodes) => {
  const mount = await mkdtemp(join(tmpdir(), 'holdfast-full-'));
  await execa('mount', ['-t', 'tmpfs', '-o', `size=8m,nr_inodes=${inodes}`, 'tmpfs', mount]);
  try {
    await using vault = await openTestVault({ directory: mount });
    await using target = await vault.open();
    await expect(target.put(KEY, some(), never)).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringContaining(`in the vault of node ${vault.node}: the partition of ${vault.directory}`) as string,
    });
    expect(await incoming(vault.directory)).toEqual([]);
    expect((await vault.space()).usedByBackupsBytes).toBe(0n);
  } finally {
    await execa('umount', [mount]);
    await rm(mount, { recursive: true });
  }
});

describe('the space that backups take', () => {
  test('is counted once when the same file is stored twice at the same time', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open();
    await target.put(KEY, Readable.from([randomBytes(5000)]), never);
    await Promise.all(Array.from({ length: 20 }, () => target.put(KEY, some(), never)));
    expect((await vault.space()).usedByBackupsBytes).toBe(10n);
  });

  test('is counted again before a file is refused: somebody may have made room by hand', async () => {
    await using vault = await openTestVault({ limits: { capBytes: 1000n } });
    await using target = await vault.open();
    await target.put(KEY, Readable.from([randomBytes(900)]), never);
    await expect(target.put(`${PREFIX}y`, Readable.from([randomBytes(900)]), never)).rejects.toThrow('are allowed');
    await rm(join(vault.directory, KEY));
    await target.put(`${PREFIX}y`, Readable.from([randomBytes(900)]), never);
    expect((await vault.space()).usedByBackupsBytes).toBe(900n);
  });
});

test('a vault that is stopped does not wait for who connected and says nothing', async () => {
  await using vault = await openTestVault();
  const silent = connectTcp(Number(new URL(vault.url).port), '127.0.0.1');
  await once(silent, 'connect');
  const closed = once(silent, 'close');
  await vault.stop();
  await closed;
  await vault.restart();
  // Within less than the 10 s after which the server gives up a handshake.
}, 8000);

test('a vault that is stopped lets what is under way end, for a while', async () => {
  await using vault = await openTestVault({ graceMs: 20_000 });
  await using target = await vault.open();
  const slow = new PassThrough();
  const putting = target.put(KEY, slow, never);
  slow.write(randomBytes(1000));
  await vi.waitFor(async () => expect(await incoming(vault.directory)).toHaveLength(1));
  const stopped = vault.restart();
  slow.end();
  expect((await putting).size).toBe(1000n);
  await stopped;
  await using again = await vault.open();
  expect(await again.list(PREFIX, never)).toEqual([{ key: KEY, size: 1000n }]);
});
