import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform, pipeline } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
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

/** Stands still unless it is moved on. */
function standingClock() {
  let time = 0;
  let asleep = Promise.withResolvers<void>();
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  const clock: Clock = {
    ...systemClock,
    monotonic: () => time,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const end = () => {
          sleepers.delete(sleeper);
          if (sleepers.size === 0) asleep = Promise.withResolvers();
        };
        const sleeper = { until: time + ms, wake: () => (end(), resolve()) };
        signal.addEventListener('abort', () => (end(), reject(signal.reason as Error)));
        sleepers.add(sleeper);
        asleep.resolve();
      }),
  };
  return {
    clock,
    /** Resolves while somebody sleeps. */
    asleep: () => asleep.promise,
    moveOn(ms: number) {
      time += ms;
      for (const sleeper of sleepers) if (sleeper.until <= time) sleeper.wake();
    },
  };
}

/** Stands for a vault whose disk has stopped answering: it cannot be had here. */
function hanging(target: Target): Target {
  return {
    ...target,
    name: 'the hanging vault',
    put: (_key, _bytes, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  };
}

/** Stands for a vault at the end of a very slow line: while it is waited for, it takes 256 KiB in that time. */
function slowed(target: Target, standing: ReturnType<typeof standingClock>, ms: number): Target {
  return {
    ...target,
    name: 'the slow vault',
    put(key, bytes, signal, known) {
      const atItsPace = new Transform({
        highWaterMark: 1,
        transform(piece: Buffer, _encoding, done) {
          void standing.asleep().then(() => {
            standing.moveOn((ms * piece.length) / 262_144);
            return done(null, piece);
          });
        },
      });
      // What breaks is told by `put`.
      return target.put(
        key,
        pipeline(bytes, atItsPace, () => undefined),
        signal,
        known,
      );
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
    const vaults = [both.vaults[0]!, { node: 'mn2', target: hanging(both.vaults[1]!.target), active: false }];
    const { stored, results } = await openLocalDir(vaults, { standbyStallMs: 200 }).putAll(KEY, parts(30), never);
    expect(stored.size).toBe(30n * 1024n * 1024n);
    expect(results[1]?.failed).toMatchObject({ code: 'TIMEOUT' });
  });

  test('keeps a standby that takes 256 KiB a minute, however much is handed over at once', async () => {
    await using both = await pair();
    const standing = standingClock();
    const slow = slowed(both.vaults[1]!.target, standing, 59_000);
    const vaults = [both.vaults[0]!, { node: 'mn2', target: slow, active: false }];
    // As the packer does.
    const large = Buffer.concat(Array.from({ length: 20 }, () => PART));
    const options = { clock: standing.clock, standbyDelayMs: Number.MAX_SAFE_INTEGER };
    const { results } = await openLocalDir(vaults, options).putAll(KEY, Readable.from([large, large]), never);
    expect(results).toEqual([{ node: 'mn1' }, { node: 'mn2' }]);
    // The last 16 MiB were taken after the active had ended, in far more than it may take to end without moving.
    expect(standing.clock.monotonic()).toBe(59_000 * 40 * 4);
  });

  test('drops a standby that is alive when it has held up the active for six hours and as long as all else took', async () => {
    await using both = await pair();
    const standing = standingClock();
    const slow = slowed(both.vaults[1]!.target, standing, 59_000);
    const vaults = [both.vaults[0]!, { node: 'mn2', target: slow, active: false }];
    const hour = 3_600_000;
    const bytes = parts(160, (n) => Promise.resolve(n === 1 ? standing.moveOn(hour) : undefined));
    const { stored, results } = await openLocalDir(vaults, { clock: standing.clock }).putAll(KEY, bytes, never);
    expect(stored.size).toBe(160n * 1024n * 1024n);
    expect(results[1]?.failed).toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining('held up the backup for 42') });
    expect(standing.clock.monotonic() / hour).toBeCloseTo(8, 1);
    await expect(readFile(join(both.mn2.directory, KEY))).rejects.toThrow('ENOENT');
  });

  test('fails at once when the active does, whatever the standby is waited for', async () => {
    await using both = await pair();
    const dying: Target = {
      ...both.vaults[0]!.target,
      async put(_key, bytes) {
        let taken = 0;
        // More than that it gets only when the standby, which takes nothing, is given up.
        for await (const part of bytes as AsyncIterable<Buffer>) if ((taken += part.length) >= 15 * PART.length) break;
        throw new Error('the active is gone');
      },
    };
    const vaults = [
      { node: 'mn1', target: dying, active: true },
      { node: 'mn2', target: hanging(both.vaults[1]!.target), active: false },
    ];
    const storing = openLocalDir(vaults, { clock: standingClock().clock }).putAll(KEY, parts(60), never);
    await expect(storing).rejects.toThrow('the active is gone');
  });

  test('drops a standby that takes every byte and then never says that it has them', async () => {
    await using both = await pair();
    // Stands for a disk that hangs in fsync: it cannot be had here.
    const unflushed: Target = {
      ...both.vaults[1]!.target,
      name: 'the hanging vault',
      put: (_key, bytes, signal) => {
        bytes.resume();
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
    };
    const vaults = [both.vaults[0]!, { node: 'mn2', target: unflushed, active: false }];
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
