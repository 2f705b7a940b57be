/**
 * The words of a point: what a backup of a tree that changes little stores. Its archive (an ordinary tar in zstd frames, as all of
 * ours) holds what is new; its index names every entry of the tree, and where the content of each file lies: in this archive, or
 * in one of an older backup file. So a restore reads one index and ranges of archives, and never replays a chain.
 */
import type { Readable } from 'node:stream';
import type { Json } from '#common/json.ts';
import type { StoredName } from '#common/manifest.ts';
import type { ArchiveSummary, PackOptions } from '../archive.ts';

/** An archive of an older backup file that an index points into. */
export interface Reference {
  /** Key of the manifest of that backup file. Two with the same are the same. */
  readonly manifest: string;
  readonly archive: StoredName;
}

/** Where the content of a file lies in an archive. */
export interface Location {
  /** Compressed offsets: the frames in [frame, end) hold the content. */
  readonly frame: bigint;
  readonly end: bigint;
  /** Where it begins in the uncompressed bytes of these frames. Below the size of a frame. */
  readonly at: number;
  /** Of the content, hex. */
  readonly sha256: string;
}

export type PointEntryType = 'file' | 'directory' | 'symlink';

/** What the fields of an index line are that say where the content lies, and so no attribute may be called. */
export const RESERVED_NAMES = ['path', 'type', 'size', 'in', 'frame', 'at', 'end', 'sha256'] as const;

/** Owner, group, mode, times and the like: kept as fields of the index line, and not looked into. None has a reserved name. */
export type Attributes = Readonly<Record<string, Json>>;

export interface PointEntry {
  /** Absolute, '/' between parts; any Unicode but NUL; no part is empty, `.` or `..`. */
  readonly path: string;
  /** A symlink stands in the index only: where it leads to is among its attributes. */
  readonly type: PointEntryType;
  /** Bytes of content; 0 for what is no file. */
  readonly size: bigint;
  readonly attributes: Attributes;
  /** For the tar header: permission bits, and milliseconds since the epoch. */
  readonly mode: number;
  readonly modifiedMs: number;
  /** Of files that are not empty, and only of them: new content that is read now, or what an older archive has. */
  readonly content: NewContent | KeptContent | undefined;
  /** Directories and empty files: whether they stand in the tar of this backup, too. Files that are read always do. */
  readonly inTar: boolean;
}

export interface NewContent {
  readonly kind: 'read';
  /** What the read function is asked for. */
  readonly from: string;
}

export interface KeptContent {
  readonly kind: 'kept';
  readonly in: Reference;
  readonly location: Location;
}

/** What an index says of an entry. */
export interface IndexEntry {
  readonly path: string;
  readonly type: PointEntryType;
  readonly size: bigint;
  readonly attributes: Attributes;
  /** Of files that are not empty. `in` 0 is the archive of this backup file, k the k-th of the references in its manifest. */
  readonly content: { readonly in: number; readonly location: Location } | undefined;
}

/** Exactly `length` bytes from `offset` on. The stream may be destroyed before its end. Both obey the signal. */
export type ReadContent = (from: string, offset: bigint, length: bigint, signal: AbortSignal) => Promise<Readable>;

export interface PackPointOptions extends PackOptions {
  /** Reads at once, of all files together. */
  readonly lanes: number;
  /** Of all reads together. undefined: as fast as it goes. */
  readonly bytesPerSecond?: bigint | undefined;
}

export interface PointSummary extends ArchiveSummary {
  /** Bytes of the contents that were read now. `contentBytes` is that of all files of the point, wherever they lie. */
  readonly readBytes: bigint;
  /** In the order of their numbers: the first is 1 in the index. */
  readonly references: readonly Reference[];
}

/** A point being made: read `stream` to its end, then `summary` and `index` settle. */
export interface PointInMaking {
  /** The archive. */
  readonly stream: Readable;
  readonly summary: Promise<PointSummary>;
  /** Absolute path of the finished index file, in the work directory given. */
  readonly index: Promise<string>;
}
