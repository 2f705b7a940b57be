/**
 * The files of a name directory: fsimages, each with its MD5, and finalized edit segments. A point in time is the newest image **and**
 * every segment after it without a gap: an image alone loses what came after the last checkpoint.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '#common/errors.ts';

export interface Segment {
  readonly name: string;
  readonly first: bigint;
  readonly last: bigint;
}

export interface Point {
  readonly image: string;
  readonly imageTxid: bigint;
  /** In order, without a gap, from after the image on. */
  readonly segments: readonly Segment[];
  readonly lastTxid: bigint;
}

/**
 * The point in time that `current` holds up to `lastTxid`; undefined: whatever it holds.
 * @throws AppError DAMAGED when the image is missing or a transaction is.
 */
export async function readPoint(current: string, lastTxid?: bigint): Promise<Point> {
  const names = await readdir(current);
  const images = names.flatMap((name) => {
    const txid = /^fsimage_(\d+)$/.exec(name)?.[1];
    return txid === undefined || !names.includes(`${name}.md5`) ? [] : [{ name, txid: BigInt(txid) }];
  });
  const image = images.toSorted((a, b) => (a.txid < b.txid ? 1 : -1))[0];
  if (image === undefined) throw new AppError('DAMAGED', `${current} holds no fsimage with its MD5`);

  const segments = names
    .flatMap((name): Segment[] => {
      const match = /^edits_(\d+)-(\d+)$/.exec(name);
      return match?.[1] === undefined || match[2] === undefined
        ? []
        : [{ name, first: BigInt(match[1]), last: BigInt(match[2]) }];
    })
    .filter(({ first, last }) => last > image.txid && (lastTxid === undefined || first <= lastTxid))
    .toSorted((a, b) => (a.first < b.first ? -1 : 1));
  let covered = image.txid;
  for (const { name, first, last } of segments) {
    if (first > covered + 1n)
      throw new AppError('DAMAGED', `${current}: transactions ${covered + 1n} to ${first - 1n} before ${name} are missing`);
    covered = last;
  }
  if (lastTxid !== undefined && covered < lastTxid) {
    throw new AppError('DAMAGED', `${current}: transactions ${covered + 1n} to ${lastTxid} are missing`);
  }
  return { image: image.name, imageTxid: image.txid, segments, lastTxid: covered };
}

/** @throws AppError DAMAGED unless the image's bytes are those of its MD5 file. */
export async function requireImageMd5(current: string, image: string, signal: AbortSignal): Promise<void> {
  const expected = /^([0-9a-f]{32}) /.exec(await readFile(join(current, `${image}.md5`), 'latin1'))?.[1];
  const hash = createHash('md5');
  await pipeline(createReadStream(join(current, image)), hash, { signal });
  const found = hash.digest('hex');
  if (found !== expected) {
    throw new AppError(
      'DAMAGED',
      `${join(current, image)} has the MD5 ${found}, and ${expected ?? 'none'} was written beside it`,
    );
  }
}
