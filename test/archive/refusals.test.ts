/** What a restore must never take for good, or follow out of its directory. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { encodeEntry } from '../../agent/archive/tar-header.ts';
import type { TarEntry } from '../../agent/archive/tar-header.ts';
import { unpackArchive } from '../../agent/archive/unpack.ts';
import { never } from '../vault/test-vault.ts';
import { readIndex } from './read-index.ts';
import { packTo, scratch, unpackTo } from './trees.ts';

const END = Buffer.alloc(1024);

function entry(path: string | Buffer, changes: Partial<TarEntry> = {}): Buffer {
  const name = Buffer.from(path as string);
  const base: TarEntry = {
    path: name,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0n,
    mtimeNs: 0n,
    link: undefined,
    xattrs: [],
  };
  return encodeEntry({ ...base, ...changes }, false);
}

/** As a thief would make it: sound in size and hash, evil inside. */
async function unpackTar(tar: Buffer): Promise<string[]> {
  await using dir = await scratch();
  await mkdir(dir.at('to'));
  const bytes = zstdCompressSync(tar);
  const expected = { size: BigInt(bytes.length), sha256: createHash('sha256').update(bytes).digest('hex') };
  try {
    await unpackArchive(Readable.from([bytes]), { into: dir.at('to'), expected, signal: never });
    return (await readdir(dir.at('to'))).toSorted();
  } finally {
    expect((await readdir(dir.path)).filter((name) => name !== 'to')).toEqual([]);
  }
}

const link = (path: string, target: string) => entry(path, { type: 'symlink', link: Buffer.from(target) });
const hard = (path: string, target: string) => entry(path, { type: 'hardlink', link: Buffer.from(target) });
const withFlag = (flag: string) => {
  const header = entry('odd');
  header.write(flag, 156, 'latin1');
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
};

describe('an archive', () => {
  test('that is sound is unpacked', async () => {
    expect(await unpackTar(Buffer.concat([entry('a'), link('b', '/etc/passwd'), END]))).toEqual(['a', 'b']);
  });

  test.each([
    ['an absolute name', [entry('/evil')], 'leads out'],
    ['a name that leads up', [entry('../evil')], 'leads out'],
    ['a name that leads up in its middle', [entry('a/../../evil')], 'leads out'],
    ['an empty part in a name', [entry('a//b')], 'leads out'],
    ['a file behind a symbolic link that it made before', [link('d', '..'), entry('d/evil')], 'before as something else'],
    ['a directory over a symbolic link', [link('d', '/tmp'), entry('d', { type: 'directory' })], 'before as something else'],
    ['a file over a symbolic link', [link('f', '../evil'), entry('f')], 'twice'],
    ['a name twice', [entry('a'), entry('a')], 'twice'],
    ['a hard link to a file outside', [hard('h', '../x')], 'leads out'],
    ['a hard link to an absolute name', [hard('h', '/etc/shadow')], 'leads out'],
    ['a hard link through a symbolic link', [link('d', '/etc'), hard('h', 'd/shadow')], 'no file of it'],
    ['a hard link to a symbolic link', [link('l', '/etc/shadow'), hard('h', 'l')], 'no file of it'],
    ['a device', [withFlag('3')], 'unknown type'],
    ['an entry of GNU long names', [withFlag('L')], 'unknown type'],
    ['a symbolic link to nothing', [link('l', '')], 'a link to nothing'],
  ])('with %s is refused', async (_what, entries, words) => {
    await expect(unpackTar(Buffer.concat([...entries, END]))).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining(words) as string,
    });
  });

  test('with an attribute whose name looks like another file sets nothing on that file', async () => {
    await using dir = await scratch();
    await writeFile(dir.at('outside'), '');
    const name = `user.x\n\n# file: ${dir.at('outside')}\nuser.evil`;
    await unpackTar(Buffer.concat([entry('a', { xattrs: [{ name, value: Buffer.from('v') }] }), END])).catch(() => undefined);
    expect((await execa('getfattr', ['-d', dir.at('outside')])).stdout).toBe('');
  });

  test('with NUL in a name is refused', async () => {
    const pax = Buffer.alloc(512);
    pax.write('17 path=ab\0/evil\n');
    const header = entry('PaxHeader', { size: 17n });
    header.write('x', 156);
    header.fill(' ', 148, 156);
    header.write(
      `${header
        .reduce((total, byte) => total + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    await expect(unpackTar(Buffer.concat([header, pax, entry('x'), END]))).rejects.toThrow('leads out');
  });

  test.each([
    ['whose end is missing', Buffer.concat([entry('a')])],
    ['with one block of zeros only', Buffer.concat([entry('a'), Buffer.alloc(512)])],
    ['cut in the middle of a file', Buffer.concat([entry('a', { size: 9000n }), Buffer.alloc(512)])],
    ['followed by more', Buffer.concat([entry('a'), END, Buffer.from('more')])],
    ['with a header that was altered', Buffer.concat([entry('a').fill('Z', 0, 1), END])],
    ['that is no tar', Buffer.from('x'.repeat(2048))],
  ])('%s is refused', async (_what, tar) => {
    await expect(unpackTar(tar)).rejects.toMatchObject({ code: 'DAMAGED' });
  });

  test('that was altered or cut at any place is refused', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('from'));
    await writeFile(dir.at('from/a'), 'some content that matters\n'.repeat(4000));
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'x' }]);
    const good = await readFile(packed.path);
    const places = Array.from({ length: 12 }, (_, n) => Math.floor(((n + 0.5) * good.length) / 12));
    for (const [n, place] of places.entries()) {
      const altered = Buffer.from(good);
      altered[place] = (altered[place] ?? 0) ^ 0x10;
      await expect(unpackTo(dir.at(`altered${n}`), packed, Readable.from([altered]))).rejects.toMatchObject({ code: 'DAMAGED' });
      await expect(unpackTo(dir.at(`cut${n}`), packed, Readable.from([good.subarray(0, place)]))).rejects.toMatchObject({
        code: 'DAMAGED',
      });
    }
    await expect(unpackTo(dir.at('more'), packed, Readable.from([good, Buffer.from('x')]))).rejects.toMatchObject({
      code: 'DAMAGED',
    });
    await unpackTo(dir.at('good'), packed, createReadStream(packed.path));
  });
});

describe('an index', () => {
  test('that was altered or cut at any place is refused', async () => {
    await using dir = await scratch();
    await mkdir(dir.at('from'));
    for (let n = 0; n < 50; n++) await writeFile(dir.at(`from/${n}`), 'x');
    const packed = await packTo(dir.at('a.tar.zst'), [{ from: dir.at('from'), as: 'x' }]);
    const good = await readFile(packed.index);
    expect((await readIndex(Readable.from([good]), 'i')).entries).toHaveLength(51);
    for (let place = 5; place < good.length; place += Math.ceil(good.length / 15)) {
      const altered = Buffer.from(good);
      altered[place] = (altered[place] ?? 0) ^ 0x04;
      await expect(readIndex(Readable.from([altered]), 'i')).rejects.toMatchObject({ code: 'DAMAGED' });
      await expect(readIndex(Readable.from([good.subarray(0, place)]), 'i')).rejects.toMatchObject({ code: 'DAMAGED' });
    }
  });
});
