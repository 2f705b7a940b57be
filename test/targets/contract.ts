/** What every target promises, on whatever it stands. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { Target } from '../../agent/targets/target.ts';
import { PREFIX, never } from '../vault/test-vault.ts';

export function targetContract(name: string, open: () => Promise<Target & AsyncDisposable>): void {
  describe(`${name}, as a target,`, () => {
    const content = randomBytes(3 * 1024 * 1024 + 17);
    const put = (target: Target, key: string, bytes: Buffer) => target.put(PREFIX + key, Readable.from([bytes]), never);

    test('gives back every byte, and says size and SHA-256', async () => {
      await using target = await open();
      const stored = await put(target, 'a.tar.zst', content);
      expect(stored).toEqual({
        key: `${PREFIX}a.tar.zst`,
        size: BigInt(content.length),
        sha256: createHash('sha256').update(content).digest('hex'),
      });
      expect((await buffer(await target.get(`${PREFIX}a.tar.zst`, never))).equals(content)).toBe(true);
    });

    test('keeps nothing of bytes that are not what they were said to be', async () => {
      await using target = await open();
      const known = Promise.resolve({ size: BigInt(content.length), sha256: 'ab'.repeat(32) });
      const putting = target.put(`${PREFIX}other`, Readable.from([content]), never, known);
      await expect(putting).rejects.toMatchObject({ code: 'DAMAGED' });
      await expect(target.get(`${PREFIX}other`, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      const { sha256 } = await put(target, 'same', content);
      await target.put(
        `${PREFIX}other`,
        Readable.from([content]),
        never,
        Promise.resolve({ size: BigInt(content.length), sha256 }),
      );
      expect((await buffer(await target.get(`${PREFIX}other`, never))).equals(content)).toBe(true);
    });

    test('keeps a file of no bytes', async () => {
      await using target = await open();
      await target.put(`${PREFIX}empty`, Readable.from([]), never);
      expect((await buffer(await target.get(`${PREFIX}empty`, never))).length).toBe(0);
    });

    test('gives a part', async () => {
      await using target = await open();
      await put(target, 'part', content);
      const part = await buffer(await target.get(`${PREFIX}part`, never, { start: 1_000_000n, end: 1_000_100n }));
      expect(part.equals(content.subarray(1_000_000, 1_000_100))).toBe(true);
      await expect(target.get(`${PREFIX}part`, never, { start: 0n, end: 10n ** 12n })).rejects.toMatchObject({ code: 'INVALID' });
    });

    test('replaces a file whole', async () => {
      await using target = await open();
      await put(target, 'twice', content);
      await put(target, 'twice', Buffer.from('short'));
      expect((await buffer(await target.get(`${PREFIX}twice`, never))).toString()).toBe('short');
    });

    test('lists what lies below a prefix in order, and nothing else', async () => {
      await using target = await open();
      for (const key of ['list/b', 'list/a', 'listless']) await put(target, key, Buffer.from(key));
      const listed = await target.list(`${PREFIX}list/`, never);
      expect(listed).toEqual([
        { key: `${PREFIX}list/a`, size: 6n },
        { key: `${PREFIX}list/b`, size: 6n },
      ]);
      expect(await target.list(`${PREFIX}none/`, never)).toEqual([]);
    });

    test('deletes, and again without an error', async () => {
      await using target = await open();
      await put(target, 'gone', Buffer.from('x'));
      await target.delete(`${PREFIX}gone`, never);
      await target.delete(`${PREFIX}gone`, never);
      await expect(target.get(`${PREFIX}gone`, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('keeps nothing of a file whose source fails, and the old one stays', async () => {
      await using target = await open();
      await put(target, 'kept', Buffer.from('old'));
      const failing = Readable.from(
        (async function* () {
          yield content;
          throw new Error('the disk of the source broke');
        })(),
      );
      await expect(target.put(`${PREFIX}kept`, failing, never)).rejects.toThrow('the disk of the source broke');
      expect((await buffer(await target.get(`${PREFIX}kept`, never))).toString()).toBe('old');
    });

    test('stops when told to, and keeps nothing', async () => {
      await using target = await open();
      const stop = new AbortController();
      const endless = new Readable({ read: (n) => endless.push(Buffer.alloc(n)) });
      const putting = target.put(`${PREFIX}stopped`, endless, stop.signal);
      const refused = expect(putting).rejects.toMatchObject({ code: 'STOPPED' });
      stop.abort();
      await refused;
      expect(endless.destroyed).toBe(true);
      await expect(target.get(`${PREFIX}stopped`, never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test.each(['../escape', '/etc/passwd', 'a\0b', `${PREFIX}../../x`])('refuses the key %j', async (key) => {
      await using target = await open();
      await expect(target.put(key, Readable.from(['x']), never)).rejects.toMatchObject({ code: 'INVALID' });
    });

    test('tells its space', async () => {
      await using target = await open();
      const space = await target.freeSpace(never);
      expect(space.totalBytes).toBeGreaterThan(space.freeBytes);
      expect(space.freeBytes).toBeGreaterThan(0n);
    });
  });
}
