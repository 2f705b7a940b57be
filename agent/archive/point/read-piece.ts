/** Reads a piece of a file into its place in a frame. */
import { addAbortSignal } from 'node:stream';
import { AppError } from '#common/errors.ts';
import { BLOCK } from '../tar-header.ts';
import type { Pace } from './pace.ts';
import type { Piece } from './plan-frames.ts';
import type { ReadContent } from './point.ts';
import { readFault } from './read-fault.ts';

/** What fills the rest of its last block is laid as well. @throws AppError naming the file; FAILED when it is not of its length. */
export async function readPiece(piece: Piece, tar: Buffer, read: ReadContent, pace: Pace, signal: AbortSignal): Promise<void> {
  const { file, offset, length, at } = piece;
  const { path, size } = file.entry;
  let done = 0;
  try {
    const stream = addAbortSignal(signal, await read(file.from, offset, BigInt(length), signal));
    for await (const chunk of stream) {
      const bytes = chunk as Buffer;
      if (done + bytes.length > length) throw new AppError('FAILED', `read ${path}: it gave more than was asked for`);
      bytes.copy(tar, at + done);
      done += bytes.length;
      await pace.pass(bytes.length, signal);
    }
  } catch (error) {
    throw readFault(error, path);
  }
  if (done < length) throw new AppError('FAILED', `read ${path}: it ended after ${offset + BigInt(done)} of ${size} bytes`);
  if (piece.last) tar.fill(0, at + length, at + length + (-length & (BLOCK - 1)));
}
