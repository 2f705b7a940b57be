/** Everything that can go wrong with a vault; after each, nothing half-written is visible and it works again. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { execa } from 'execa';
import { describe, expect, test, vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { tlsOptions } from '#common/tls.ts';
import { startHalfOpenProxy } from './half-open-proxy.ts';
import { PREFIX, certificateOf, grant, never, openTestVault, otherAuthority } from './test-vault.ts';

const KEY = `${PREFIX}x.tar.zst`;
const some = () => Readable.from([Buffer.from('some bytes')]);
const megabytes = (count: number) => Readable.from(Array.from({ length: count }, () => randomBytes(1024 * 1024)));

async function visible(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

describe('a certificate', () => {
  test('of another CA opens nothing', async () => {
    await using vault = await openTestVault();
    await expect(vault.open({ tls: await certificateOf('dn1', 'agent', otherAuthority) })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  test('of an administrator opens nothing: a vault is for agents', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open({ tls: await certificateOf('dn1', 'admin') });
    await expect(target.put(KEY, some(), never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  test('of another node than the one expected is not trusted with bytes', async () => {
    await using vault = await openTestVault({ node: 'mn1' });
    await expect(vault.open({ expect: 'mn2' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('a grant', () => {
  test.each([
    ['that has expired', () => grant({ expiresMs: systemClock.now() - 1 })],
    ['for another agent', () => grant({ agent: 'dn2' })],
    ['for another vault', () => grant({ vault: 'mn2' })],
    ["for another's backups", () => grant({ prefixes: ['default_20260101000000/LdapServer_20260102000000/'] })],
    ['without the verb', () => grant({ verbs: ['get', 'list'] })],
    ['signed by somebody else', () => grant({}, generateKeyPairSync('ed25519').privateKey)],
    ['that is none', () => 'nonsense'],
  ])('%s does not let a file be written', async (_what, make) => {
    await using vault = await openTestVault();
    await using target = await vault.open({ grant: make() });
    await expect(target.put(KEY, some(), never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await visible(vault.directory)).toEqual([]);
  });

  test('to write does not let one read, list or delete', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open({ grant: grant({ verbs: ['put'] }) });
    await target.put(KEY, some(), never);
    await expect(target.get(KEY, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(target.list(PREFIX, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(target.delete(KEY, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  test('of an old attempt is fenced once a newer one was seen, also after a restart of the vault', async () => {
    await using vault = await openTestVault();
    {
      await using newer = await vault.open({ grant: grant({ attempt: 2 }) });
      await newer.put(KEY, some(), never);
    }
    for (const restart of [false, true]) {
      if (restart) await vault.restart();
      await using older = await vault.open({ grant: grant({ attempt: 1 }) });
      await expect(older.put(KEY, some(), never)).rejects.toMatchObject({ code: 'FENCED' });
      await expect(older.delete(KEY, never)).rejects.toMatchObject({ code: 'FENCED' });
    }
    await using same = await vault.open({ grant: grant({ attempt: 2 }) });
    await same.put(KEY, some(), never);
  });
});

describe('what arrives', () => {
  async function rawPut(
    path: string,
    url: string,
    trailers: Record<string, string> | undefined,
  ): Promise<{ status: number; text: string }> {
    const session = connect(url, tlsOptions(await certificateOf('dn1')));
    const stream = session.request(
      { ':method': 'PUT', ':path': path, 'x-holdfast-grant': grant() },
      { endStream: false, waitForTrailers: trailers !== undefined },
    );
    stream.once('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
    const response = once(stream, 'response') as Promise<[{ ':status': number }]>;
    stream.end('some bytes');
    const [headers] = await response;
    const text = await buffer(stream);
    session.destroy();
    return { status: headers[':status'], text: text.toString() };
  }

  test.each([
    ['without trailers', undefined],
    ['with another size', { 'x-holdfast-size': '11', 'x-holdfast-sha256': 'ab'.repeat(32) }],
    ['with another SHA-256', { 'x-holdfast-size': '10', 'x-holdfast-sha256': 'ab'.repeat(32) }],
  ])('%s does not become visible', async (_what, trailers) => {
    await using vault = await openTestVault();
    const answer = await rawPut(`/${KEY}`, vault.url, trailers);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'DAMAGED' });
    expect(await visible(vault.directory)).toEqual([]);
  });

  test.each(['/../x', '/%2e%2e/x', `/${PREFIX}%2e%2e%2fx`, '//etc/passwd', `/${PREFIX}a%00b`, `/${PREFIX}.holdfast`])(
    'at the path %j is refused: it would lead out',
    async (path) => {
      await using vault = await openTestVault();
      const answer = await rawPut(path, vault.url, undefined);
      expect(JSON.parse(answer.text)).toMatchObject({ code: expect.stringMatching(/INVALID|FORBIDDEN/) as string });
      expect(await visible(vault.directory)).toEqual([]);
    },
  );

  test('from an agent that is killed in mid-transfer leaves nothing', async () => {
    await using vault = await openTestVault();
    const target = await vault.open();
    const endless = new Readable({ read: (n) => endless.push(randomBytes(n)) });
    const putting = expect(target.put(KEY, endless, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await vi.waitFor(async () => expect((await visible(vault.directory)).length).toBe(1));
    await target[Symbol.asyncDispose]();
    await putting;
    await vi.waitFor(async () => expect(await visible(vault.directory)).toEqual([]));
    expect((await vault.space()).usedByBackupsBytes).toBe(0n);
  });
});

describe('the partition of a vault', () => {
  test('that is full ends the write, saying so; what was there stays good, and after space is freed it works', async () => {
    const mount = await mkdtemp(join(tmpdir(), 'holdfast-full-'));
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount]);
    try {
      await using vault = await openTestVault({ directory: mount });
      await using target = await vault.open();
      await target.put(`${PREFIX}good`, megabytes(3), never);
      await expect(target.put(KEY, megabytes(12), never)).rejects.toMatchObject({ code: 'NO_SPACE' });
      expect(await visible(vault.directory)).toEqual(['good']);
      expect((await buffer(await target.get(`${PREFIX}good`, never))).length).toBe(3 * 1024 * 1024);
      await target.put(KEY, megabytes(3), never);
    } finally {
      await execa('umount', [mount]);
      await rm(mount, { recursive: true });
    }
  });

  test('with less free than must stay free takes nothing', async () => {
    await using vault = await openTestVault({ limits: { minimumFreeBytes: 10n ** 18n } });
    await using target = await vault.open();
    await expect(target.put(KEY, some(), never)).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringContaining('must stay free') as string,
    });
  });

  test('that falls below what must stay free while writing stops the write', async () => {
    const mount = await mkdtemp(join(tmpdir(), 'holdfast-free-'));
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mount]);
    try {
      await using vault = await openTestVault({ directory: mount, limits: { minimumFreeBytes: 32n * 2n ** 20n } });
      await using target = await vault.open();
      await expect(target.put(KEY, megabytes(60), never)).rejects.toThrow('must stay free');
      expect(await visible(vault.directory)).toEqual([]);
    } finally {
      await execa('umount', [mount]);
      await rm(mount, { recursive: true });
    }
  });

  test('holds no more backup files than the cap, counted while writing', async () => {
    await using vault = await openTestVault({ limits: { capBytes: 5_000_000n } });
    await using target = await vault.open();
    await target.put(`${PREFIX}first`, megabytes(3), never);
    await expect(target.put(KEY, megabytes(3), never)).rejects.toThrow('are allowed');
    expect((await vault.space()).usedByBackupsBytes).toBe(3n * 1024n * 1024n);
    await target.delete(`${PREFIX}first`, never);
    await target.put(KEY, megabytes(3), never);
  });
});

describe('a vault', () => {
  test('makes directories of mode 700 and files of mode 600, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await using vault = await openTestVault();
      await using target = await vault.open();
      await target.put(KEY, some(), never);
      expect((await stat(join(vault.directory, KEY))).mode & 0o777).toBe(0o600);
      expect((await stat(join(vault.directory, PREFIX))).mode & 0o777).toBe(0o700);
      expect((await stat(vault.directory)).mode & 0o777).toBe(0o700);
    } finally {
      process.umask(before);
    }
  });

  test('that is stopped in mid-transfer fails it, and after its start nothing half-written is left', async () => {
    await using vault = await openTestVault({ graceMs: 100 });
    await using target = await vault.open();
    const endless = new Readable({ read: (n) => endless.push(randomBytes(n)) });
    const putting = expect(target.put(KEY, endless, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await vi.waitFor(async () => expect((await visible(vault.directory)).length).toBe(1));
    await vault.restart();
    await putting;
    expect(await visible(vault.directory)).toEqual([]);
    // Told by the vault, not found out by the next ping, which is 10 s away.
  }, 8000);

  test('behind a cut cable is noticed within the time-out, not never', async () => {
    await using vault = await openTestVault();
    await using proxy = await startHalfOpenProxy(vault.url);
    const target = await vault.open({ url: proxy.url, silenceMs: 600 });
    const endless = new Readable({ read: (n) => endless.push(randomBytes(n)) });
    const putting = expect(target.put(KEY, endless, never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('has not answered') as string,
    });
    proxy.cut();
    await putting;
  });

  test('follows no symbolic link that somebody planted in it', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open();
    const outside = await mkdtemp(join(tmpdir(), 'holdfast-outside-'));
    await writeFile(join(outside, 'secret'), 'secret');
    await mkdir(join(vault.directory, 'default_20260101000000'));
    await symlink(outside, join(vault.directory, PREFIX.slice(0, -1)));
    await expect(target.get(`${PREFIX}secret`, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(target.put(`${PREFIX}new`, some(), never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(target.delete(`${PREFIX}secret`, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await readdir(outside)).toEqual(['secret']);
    await rm(outside, { recursive: true });
  });

  test('gives a reader of a file that shrank on disk fewer bytes than the manifest says, so that the hash tells', async () => {
    await using vault = await openTestVault();
    await using target = await vault.open();
    const { size } = await target.put(KEY, megabytes(2), never);
    await truncate(join(vault.directory, KEY), 1000);
    expect(BigInt((await buffer(await target.get(KEY, never))).length)).toBeLessThan(size);
    expect((await readFile(join(vault.directory, KEY))).length).toBe(1000);
  });
});
