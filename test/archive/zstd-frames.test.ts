import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readFrame, readFrames } from '../../agent/archive/zstd-frames.ts';
import { allOf } from './points.ts';

const LARGEST = 1024 * 1024;
const checked = { [constants.ZSTD_c_checksumFlag]: 1 };

function frame(content: Buffer, params: Record<number, number> = {}): Buffer {
  return zstdCompressSync(content, { params: { ...checked, ...params } });
}

/** As a stream may bring them. */
function inChunks(bytes: Buffer, size: number): Readable {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  return Readable.from(chunks, { objectMode: false });
}

/** Nothing, runs, text and noise: every kind of block, and every width of the size in the header. */
const contents = fc.array(
  fc.tuple(
    fc.constantFrom(0, 1, 255, 256, 300, 65_535, 65_791, 65_792, 200_000, 400_000),
    fc.constantFrom('run', 'text', 'noise'),
  ),
  { maxLength: 6 },
);

test('frames are read one by one, wherever a chunk of the stream ends', async () => {
  await fc.assert(
    fc.asyncProperty(contents, fc.constantFrom(1, 7, 4096, 65_536, 1e9), fc.boolean(), async (kinds, chunk, sized) => {
      const plain = kinds.map(([size, kind]) => {
        if (kind === 'noise') return randomBytes(size);
        return Buffer.alloc(size, kind === 'run' ? 'r' : 'some words, again and again; ');
      });
      const packed = plain.map((bytes) => frame(bytes, { [constants.ZSTD_c_contentSizeFlag]: Number(sized) }));
      const all = Buffer.concat(packed);
      // By single bytes only what is small: each is a turn of the stream.
      const read = await allOf(readFrames(inChunks(all, chunk < 100 && all.length > 20_000 ? 4099 : chunk), LARGEST));
      expect(Buffer.concat(read).equals(Buffer.concat(plain))).toBe(true);
      expect(read).toHaveLength(plain.length);
    }),
    { numRuns: 60 },
  );
});

test('what is cut, follows, is larger, has no checksum or is none is refused', async () => {
  const sound = frame(randomBytes(5000));
  const faulty: [Buffer, string][] = [
    [sound.subarray(0, -1), 'is cut'],
    [sound.subarray(0, 3), 'is cut'],
    [Buffer.concat([sound, Buffer.from('more')]), 'is cut'],
    [Buffer.concat([sound, Buffer.from('more of it')]), 'no zstd frame'],
    [frame(Buffer.alloc(2 * LARGEST)), 'decompressed'],
    [frame(randomBytes(2 * LARGEST)), 'larger than any'],
    [frame(randomBytes(10), { [constants.ZSTD_c_checksumFlag]: 0 }), 'no checksum'],
    [Buffer.from('something else'), 'no zstd frame'],
  ];
  for (const [bytes, message] of faulty) {
    const expected = { code: 'DAMAGED', message: expect.stringContaining(message) as string };
    await expect(allOf(readFrames(inChunks(bytes, 1000), LARGEST))).rejects.toMatchObject(expected);
  }
  await expect(readFrame(Buffer.concat([sound, sound]), LARGEST)).rejects.toMatchObject({ code: 'DAMAGED' });
});

test('a stream that breaks says so itself, and one that is left is destroyed', async () => {
  async function* broken() {
    yield frame(randomBytes(10));
    throw new Error('the line is down');
  }
  await expect(allOf(readFrames(Readable.from(broken()), LARGEST))).rejects.toThrow('the line is down');
  const left = inChunks(Buffer.concat([frame(randomBytes(10)), frame(randomBytes(10))]), 5);
  for await (const content of readFrames(left, LARGEST)) {
    expect(content).toHaveLength(10);
    break;
  }
  expect(left.destroyed).toBe(true);
});
