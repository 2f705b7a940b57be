import { closeSync, createReadStream, existsSync, mkdirSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { chmod, chown, link, mkdir, readFile, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { randomBytes } from 'node:crypto';
import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { FRAME_BYTES } from '../../agent/archive/frames.ts';
import { packArchive } from '../../agent/archive/pack.ts';
import { unpackArchive } from '../../agent/archive/unpack.ts';
import { PREFIX, never, openTestVault } from '../vault/test-vault.ts';
import { readEntry } from './read-entry.ts';
import { readIndex } from './read-index.ts';
import { describeTree, packTo, scratch, unpackTo } from './trees.ts';

/** All that a configuration directory may hold, and more. */
async function makeNasty(root: string): Promise<void> {
  await mkdir(join(root, 'conf/empty'), { recursive: true });
  await mkdir(join(root, 'conf', 'd'.repeat(90), 'e'.repeat(90)), { recursive: true });
  await writeFile(join(root, 'conf', 'd'.repeat(90), 'e'.repeat(90), 'far down'), 'x');
  await writeFile(join(root, 'conf/Größe-日本語-🚂'), 'unicode');
  await writeFile(join(root, 'conf', 'ü'.repeat(70)), 'a long name that is not ASCII');
  await writeFile(join(root, 'conf/with\nnewline and "quotes" \\ back'), 'odd');
  await writeFile(join(root, 'conf/empty-file'), '');
  await writeFile(join(root, 'conf/block'), Buffer.alloc(512, 'b'));
  await writeFile(join(root, 'conf/set-user-id'), '#!/bin/sh\n');
  await chown(join(root, 'conf/set-user-id'), 123, 456);
  await chmod(join(root, 'conf/set-user-id'), 0o4750);
  await writeFile(join(root, 'conf/read-only'), 'secret');
  await chmod(join(root, 'conf/read-only'), 0o400);
  await chmod(join(root, 'conf/empty'), 0o1777);
  await link(join(root, 'conf/read-only'), join(root, 'conf/second name'));
  await symlink('read-only', join(root, 'conf/inside'));
  await symlink('/etc/hostname', join(root, 'conf/outside'));
  await symlink('t'.repeat(150), join(root, 'conf/long and broken'));
  await execa('setfattr', ['-n', 'user.holdfast', '-v', 'a\nvalue=with, odd "bytes"', join(root, 'conf/block')]);
  await execa('touch', ['-h', '-d', '2001-02-03T04:05:06.123456789Z', join(root, 'conf/block'), join(root, 'conf/inside')]);
  await utimes(join(root, 'conf'), 1_000_000_000.5, 1_000_000_000.5);
  // Not UTF-8: a name on Linux is bytes. Short and long ones go different ways in a tar.
  for (const length of [3, 140]) {
    const name = Buffer.concat([Buffer.from(`${root}/conf/`), Buffer.alloc(length, 0xff)]);
    closeSync(openSync(name, 'w'));
  }
}

describe('an archive', () => {
  test('brings back owner, mode, times to the nanosecond, links, attributes and names of any bytes', async () => {
    await using dir = await scratch();
    mkdirSync(dir.at('from'));
    await makeNasty(dir.at('from'));
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from/conf'), as: 'oms/conf', xattrs: true }]);
    await unpackTo(dir.at('to'), packed);
    expect(await describeTree(dir.at('to/oms/conf'))).toBe(await describeTree(dir.at('from/conf')));
  });

  test('is opened by plain tar --zstd, with the same result', async () => {
    await using dir = await scratch();
    mkdirSync(dir.at('from'));
    await makeNasty(dir.at('from'));
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from/conf'), as: 'conf', xattrs: true }]);
    await execa('zstd', ['-t', packed.path]);
    mkdirSync(dir.at('to'));
    await execa('tar', ['--zstd', '--xattrs', '--xattrs-include=*', '-xpf', packed.path, '-C', dir.at('to')]);
    expect(await describeTree(dir.at('to/conf'))).toBe(await describeTree(dir.at('from/conf')));
  });

  test('of files across many frames comes back byte for byte', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('from'));
    const sizes = [0, 1, 511, 512, 513, FRAME_BYTES - 512, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 777];
    for (const size of sizes) await writeFile(dir.at(`from/${size}`), randomBytes(size));
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'files' }]);
    expect(packed.contentBytes).toBe(BigInt(sizes.reduce((sum, size) => sum + size, 0)));
    expect(packed.entries).toBe(sizes.length + 1);
    await unpackTo(dir.at('to'), packed);
    await execa('diff', ['-r', dir.at('from'), dir.at('to/files')]);
  });

  test('of any tree comes back', async () => {
    const name = fc
      .string({ unit: fc.constantFrom('a', 'b', ' ', 'é', '.'), minLength: 1, maxLength: 130 })
      .filter((s) => !/^\.+$/.test(s));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.tuple(name, fc.nat(5000)), { maxLength: 8, selector: ([n]) => n }), async (files) => {
        await using dir = await scratch();
        await mkdir(dir.at('from'));
        for (const [file, size] of files) await writeFile(dir.at(`from/${file}`), Buffer.alloc(size, 'z'));
        const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'x' }]);
        await unpackTo(dir.at('to'), packed);
        await execa('diff', ['-r', dir.at('from'), dir.at('to/x')]);
      }),
      { numRuns: 15 },
    );
  });

  test('leaves sockets and FIFOs out, and says so', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('from'));
    await execa('mkfifo', [dir.at('from/pipe')]);
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'x' }]);
    expect(packed.warnings).toEqual([`${dir.at('from/pipe')} is left out: it is a socket, a device or a FIFO`]);
  });

  test('of a path that does not exist fails, naming it', async () => {
    await using dir = await scratch();
    await expect(packTo(dir.at('a.tar.zst'), [{ from: dir.at('missing'), as: 'x' }])).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('missing') as string,
    });
  });

  test('of a file that changes while it is packed fails instead of holding half of each', async () => {
    await using dir = await scratch();
    const file = openSync(dir.at('growing'), 'w');
    writeSync(file, randomBytes(12 * FRAME_BYTES));
    const { stream } = packArchive([{ from: dir.at('growing'), as: 'x' }], { workDirectory: dir.path, level: 1, signal: never });
    const first = new Promise((resolve) => stream.once('readable', resolve));
    await first;
    writeSync(file, 'more');
    closeSync(file);
    await expect(buffer(stream)).rejects.toThrow('changed while it was packed');
  });

  test('that is stopped ends its thread and its stream', async () => {
    await using dir = await scratch();
    await writeFile(dir.at('big'), randomBytes(16 * FRAME_BYTES));
    const stop = new AbortController();
    const packing = packArchive([{ from: dir.at('big'), as: 'x' }], { workDirectory: dir.path, level: 1, signal: stop.signal });
    await new Promise((resolve) => packing.stream.once('readable', resolve));
    stop.abort();
    await expect(buffer(packing.stream)).rejects.toMatchObject({ code: 'STOPPED' });
    await expect(packing.summary).rejects.toMatchObject({ code: 'STOPPED' });
    expect(process.getActiveResourcesInfo()).not.toContain('MessagePort');
  });

  test('that is stopped within thousands of small files does not read them to their end', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('small'));
    // Fewer than the frames in flight hold: to the end of these the thread has no other pause.
    for (let n = 0; n < 20_000; n++) writeFileSync(dir.at(`small/${n}`), '');
    const stop = new AbortController();
    const work = { workDirectory: dir.path, level: 1, signal: stop.signal };
    const { stream } = packArchive([{ from: dir.at('small'), as: 'x' }], work);
    const index = dir.at('archive.index.zst');
    await vi.waitUntil(() => existsSync(index), { timeout: 20_000, interval: 1 });
    stop.abort();
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'STOPPED' });
    // Its first portion, of 1 MiB, holds some 10,000 of them.
    expect(statSync(index).size).toBe(0);
  });

  test('that is stopped while it is unpacked is not written to its end', async () => {
    await using dir = await scratch();
    const size = 256 * 1024 * 1024;
    await writeFile(dir.at('zeros'), '');
    await truncate(dir.at('zeros'), size);
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('zeros'), as: 'x' }]);
    await mkdir(dir.at('to'));
    const stop = new AbortController();
    const stream = createReadStream(packed.path);
    // All of it is handed over then, and little of it written: it is zeros.
    stream.once('close', () => stop.abort());
    const unpacking = unpackArchive(stream, { into: dir.at('to'), expected: packed, signal: stop.signal });
    await expect(unpacking).rejects.toMatchObject({ code: 'STOPPED' });
    expect(statSync(dir.at('to/x'), { throwIfNoEntry: false })?.size ?? 0).toBeLessThan(size);
  });
});

describe('one file of an archive', () => {
  test('is read alone by the index', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('from'));
    for (let n = 0; n < 12; n++) await writeFile(dir.at(`from/f${n}`), randomBytes(1_500_000 + n));
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'x' }]);
    const index = await readIndex(createReadStream(packed.index), 'a.index');
    expect(index.entries.map(({ path }) => path)).toContain('x/f7');
    await using vault = await openTestVault();
    await using target = await vault.open();
    await target.put(`${PREFIX}a.tar.zst`, createReadStream(packed.path), never);
    for (const n of [0, 3, 7, 11]) {
      const bytes = await buffer(readEntry(target, `${PREFIX}a.tar.zst`, index, `x/f${n}`, never));
      expect(bytes.equals(await buffer(createReadStream(dir.at(`from/f${n}`)))), `f${n}`).toBe(true);
    }
    expect(() => readEntry(target, 'k', index, 'x/none', never)).toThrow('holds no file x/none');
  });

  test('is refused when its frame was altered, or the index is of another archive', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('from'));
    for (const name of ['a', 'b']) await writeFile(dir.at(`from/${name}`), randomBytes(1_500_000));
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'x' }]);
    const index = await readIndex(createReadStream(packed.index), 'a.index');
    await using vault = await openTestVault();
    await using target = await vault.open();
    const altered = await readFile(packed.path);
    altered[altered.length >> 1]! ^= 0x10;
    await target.put(`${PREFIX}a.tar.zst`, Readable.from([altered]), never);
    const read = (from: typeof index) => buffer(readEntry(target, `${PREFIX}a.tar.zst`, from, 'x/b', never));
    await expect(read(index)).rejects.toMatchObject({ code: 'DAMAGED' });
    await expect(read({ ...index, frames: [Number(index.archiveBytes)] })).rejects.toMatchObject({ code: 'DAMAGED' });
    await target.put(`${PREFIX}a.tar.zst`, createReadStream(packed.path), never);
    const other = index.entries.map((entry) => (entry.path === 'x/b' ? { ...entry, at: 512n } : entry));
    await expect(read({ ...index, entries: other })).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});
