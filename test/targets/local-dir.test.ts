import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { openLocalDir } from '../../agent/targets/local-dir.ts';
import type { Target } from '../../agent/targets/target.ts';
import { startHalfOpenProxy } from '../vault/half-open-proxy.ts';
import { PREFIX, never, openTestVault } from '../vault/test-vault.ts';

const KEY = `${PREFIX}x.tar.zst`;
const PART = randomBytes(1024 * 1024);

function parts(count: number, each?: (n: number) => Promise<void>): Readable {
  return Readable.from(
    (async function* () {
      for (let n = 0; n < count; n++) {
        await each?.(n);
        yield PART;
      }
    })(),
  );
}

async function pair() {
  const mn1 = await openTestVault({ node: 'mn1' });
  const mn2 = await openTestVault({ node: 'mn2' });
  const vaults = [
    { node: 'mn1', target: await mn1.open(), active: true },
    { node: 'mn2', target: await mn2.open(), active: false },
  ];
  return {
    mn1,
    mn2,
    vaults,
    async [Symbol.asyncDispose]() {
      for (const { target } of vaults) await target[Symbol.asyncDispose]();
      await mn1[Symbol.asyncDispose]();
      await mn2[Symbol.asyncDispose]();
    },
  };
}

describe('LocalDir', () => {
  test('writes the same bytes to both vaults at once', async () => {
    await using both = await pair();
    const { stored, results } = await openLocalDir(both.vaults).putAll(KEY, parts(40), never);
    expect(stored.size).toBe(40n * 1024n * 1024n);
    expect(results).toEqual([{ node: 'mn1' }, { node: 'mn2' }]);
    const [one, two] = await Promise.all([both.mn1, both.mn2].map(({ directory }) => readFile(join(directory, KEY))));
    expect(one?.equals(two ?? Buffer.of())).toBe(true);
  });

  test('whose standby dies in mid-transfer still stores on the active, and says what failed', async () => {
    await using both = await pair();
    const bytes = parts(60, async (n) => {
      if (n === 20) await both.mn2.stop();
    });
    const { stored, results } = await openLocalDir(both.vaults).putAll(KEY, bytes, never);
    expect(stored.size).toBe(60n * 1024n * 1024n);
    expect(results[1]?.failed?.code).toBe('UNAVAILABLE');
    expect((await readFile(join(both.mn1.directory, KEY))).length).toBe(60 * 1024 * 1024);
    await both.mn2.restart();
  });

  test('whose standby vanishes while it is waited for still stores on the active', async () => {
    await using both = await pair();
    await using proxy = await startHalfOpenProxy(both.mn2.url);
    await using behind = await both.mn2.open({ url: proxy.url, silenceMs: 600 });
    const vaults = [both.vaults[0]!, { node: 'mn2', target: behind, active: false }];
    // More than windows and buffers hold: the writer waits for the standby until its line counts as cut.
    const bytes = parts(60, async (n) => {
      if (n === 5) proxy.cut();
    });
    const { stored, results } = await openLocalDir(vaults).putAll(KEY, bytes, never);
    expect(stored.size).toBe(60n * 1024n * 1024n);
    expect(results[1]?.failed).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('has not answered') });
    expect((await readFile(join(both.mn1.directory, KEY))).length).toBe(60 * 1024 * 1024);
  });

  test('whose active dies in mid-transfer fails, and the standby keeps nothing', async () => {
    await using both = await pair();
    const bytes = parts(60, async (n) => {
      if (n === 20) await both.mn1.stop();
    });
    await expect(openLocalDir(both.vaults).putAll(KEY, bytes, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(bytes.destroyed).toBe(true);
    await expect(readFile(join(both.mn2.directory, KEY))).rejects.toThrow('ENOENT');
    await both.mn1.restart();
  });

  test('drops a standby that hangs without failing', async () => {
    await using both = await pair();
    // Stands for a vault whose disk has stopped answering: it cannot be had here.
    const hanging: Target = {
      ...both.vaults[1]!.target,
      name: 'the hanging vault',
      put: (_key, _bytes, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    };
    const vaults = [both.vaults[0]!, { node: 'mn2', target: hanging, active: false }];
    const { stored, results } = await openLocalDir(vaults, { standbyStallMs: 200 }).putAll(KEY, parts(30), never);
    expect(stored.size).toBe(30n * 1024n * 1024n);
    expect(results[1]?.failed).toMatchObject({ code: 'TIMEOUT' });
  });

  test('drops a standby that takes every byte and then never says that it has them', async () => {
    await using both = await pair();
    // Stands for a disk that hangs in fsync: it cannot be had here.
    const hanging: Target = {
      ...both.vaults[1]!.target,
      name: 'the hanging vault',
      put: (_key, bytes, signal) => {
        bytes.resume();
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
    };
    const vaults = [both.vaults[0]!, { node: 'mn2', target: hanging, active: false }];
    const { stored, results } = await openLocalDir(vaults, { standbyEndMs: 200 }).putAll(KEY, parts(1), never);
    expect(stored.size).toBe(1024n * 1024n);
    expect(results[1]?.failed).toMatchObject({ code: 'TIMEOUT' });
  });

  test('fails with the reason of a source that fails, and neither vault keeps anything', async () => {
    await using both = await pair();
    const bytes = parts(10, async (n) => {
      if (n === 5) throw new Error('the dump could not be read');
    });
    await expect(openLocalDir(both.vaults).putAll(KEY, bytes, never)).rejects.toThrow('the dump could not be read');
    for (const { directory } of [both.mn1, both.mn2]) await expect(readFile(join(directory, KEY))).rejects.toThrow('ENOENT');
  });
});
