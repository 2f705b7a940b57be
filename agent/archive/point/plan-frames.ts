/**
 * How the tar of a point is laid into frames, before a byte is read: all sizes are known. What fits into a frame is never cut, so
 * that one file is read back with one frame; what does not begins one of its own, and goes on through as many as it takes.
 */
import { AppError } from '#common/errors.ts';
import { FRAME_BYTES } from '../frames.ts';
import { BLOCK, encodeEntry } from '../tar-header.ts';
import type { PointEntry } from './point.ts';
import { compareTreeOrder, isPointPath } from './tree-order.ts';

/** A file that is read: one object for all frames that its content lies in. */
export interface PlannedFile {
  readonly entry: PointEntry;
  readonly from: string;
  /** Where its content begins in its first frame. */
  readonly at: number;
}

/** What is read of a file into a frame. */
export interface Piece {
  readonly file: PlannedFile;
  /** In the content of the file. */
  readonly offset: bigint;
  readonly length: number;
  /** In the frame. */
  readonly at: number;
  readonly first: boolean;
  readonly last: boolean;
}

export interface FramePlan {
  /** Bytes of tar; 0 when there are entries only that have none in it. */
  readonly length: number;
  /** Of the size of a frame, the headers laid in; none when its length is 0. */
  readonly tar: Buffer;
  readonly pieces: readonly Piece[];
  /** Whose index lines can be written when this frame was: those of a file are in the frame of its last byte. */
  readonly entries: readonly { readonly entry: PointEntry; readonly file: PlannedFile | undefined }[];
}

/** Entries of a frame, which bounds what is planned and not yet written: an incremental may have a million that have no bytes here. */
const ENTRIES = 1024;
const NS_PER_MS = 1_000_000n;
const END_OF_TAR = Buffer.alloc(2 * BLOCK);

/** `takeBuffer`: of the size of a frame. @throws AppError BUG for entries that are out of order, or are not what they say. */
export async function* planFrames(
  entries: AsyncIterable<PointEntry>,
  takeBuffer: () => Buffer,
): AsyncGenerator<FramePlan, void, undefined> {
  let frame = emptyFrame();
  let previous: string | undefined;

  function* lay(entry: PointEntry): Generator<FramePlan> {
    requireSound(entry, previous);
    previous = entry.path;
    if (frame.entries.length >= ENTRIES) yield* close();
    if (!isInTar(entry)) return void frame.entries.push({ entry, file: undefined });
    const header = headerOf(entry);
    const bytes = entry.content === undefined ? 0n : entry.size;
    if (BigInt(frame.length + header.length) + padded(bytes) > BigInt(FRAME_BYTES)) yield* close();
    put(header);
    if (entry.content?.kind !== 'read') return void frame.entries.push({ entry, file: undefined });
    yield* content({ entry, from: entry.content.from, at: frame.length }, entry.size);
  }

  function* content(file: PlannedFile, size: bigint): Generator<FramePlan> {
    for (let offset = 0n; offset < size;) {
      if (frame.length === FRAME_BYTES) yield* close();
      if (frame.length === 0) frame.tar = takeBuffer();
      const room = FRAME_BYTES - frame.length;
      const length = size - offset < BigInt(room) ? Number(size - offset) : room;
      const last = offset + BigInt(length) === size;
      frame.pieces.push({ file, offset, length, at: frame.length, first: offset === 0n, last });
      frame.length += Number(padded(BigInt(length)));
      offset += BigInt(length);
    }
    frame.entries.push({ entry: file.entry, file });
  }

  function put(bytes: Buffer) {
    if (frame.length === 0) frame.tar = takeBuffer();
    bytes.copy(frame.tar, frame.length);
    frame.length += bytes.length;
  }

  function* close(): Generator<FramePlan> {
    if (frame.length > 0 || frame.entries.length > 0) yield frame;
    frame = emptyFrame();
  }

  for await (const entry of entries) yield* lay(entry);
  if (frame.length + END_OF_TAR.length > FRAME_BYTES) yield* close();
  put(END_OF_TAR);
  yield* close();
}

const NO_TAR: Buffer = Buffer.alloc(0);

function emptyFrame() {
  return {
    length: 0,
    tar: NO_TAR,
    pieces: [] as Piece[],
    entries: [] as { entry: PointEntry; file: PlannedFile | undefined }[],
  };
}

/** The root of all has no name in a tar. */
function isInTar({ content, inTar, type, path }: PointEntry): boolean {
  if (content !== undefined) return content.kind === 'read';
  return inTar && type !== 'symlink' && path !== '/';
}

/** Whole seconds: the index has the time as it is, and a pax header would be 1 KiB more for each file. */
function headerOf({ path, type, size, mode, modifiedMs }: PointEntry): Buffer {
  const mtimeNs = BigInt(Math.trunc(modifiedMs)) * NS_PER_MS;
  return encodeEntry(
    { path: Buffer.from(path.slice(1)), type, mode, uid: 0, gid: 0, size, mtimeNs, link: undefined, xattrs: [] },
    false,
  );
}

/** With what fills its last block. */
function padded(bytes: bigint): bigint {
  return bytes + (-bytes & BigInt(BLOCK - 1));
}

function requireSound(entry: PointEntry, previous: string | undefined): void {
  const bug = (text: string) => new AppError('BUG', `lay out the archive: ${entry.path} ${text}`);
  if (!isPointPath(entry.path)) throw bug('is no path of a tree');
  if (previous !== undefined && compareTreeOrder(previous, entry.path) >= 0) throw bug(`comes after ${previous}`);
  if ((entry.type === 'file' && entry.size > 0n) !== (entry.content !== undefined)) {
    throw bug(`of ${entry.size} bytes has ${entry.content === undefined ? 'no content' : 'some content'}`);
  }
}
