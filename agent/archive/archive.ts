/**
 * The words of the archive: an ordinary tar in concatenated zstd frames, so that `tar --zstd -xf` opens it without us, and an
 * index beside it, so that one file of a terabyte can be read alone.
 */
import type { Readable } from 'node:stream';

/** A file, or a directory with all below it, and where it goes in the archive. */
export interface ArchiveRoot {
  /** Absolute path on this node. */
  readonly from: string;
  /** Path in the archive: relative, '/' between parts, no `..`. */
  readonly as: string;
  /** Keep extended attributes and ACLs (as SCHILY.xattr records, which GNU tar reads with --xattrs). */
  readonly xattrs?: boolean;
}

export interface ArchiveSummary {
  /** Compressed bytes. */
  readonly size: bigint;
  /** Of the compressed bytes, hex. */
  readonly sha256: string;
  readonly entries: number;
  /** Bytes of file contents, before packing. */
  readonly contentBytes: bigint;
  /** What was left out: sockets, devices, FIFOs. */
  readonly warnings: readonly string[];
}

/** An archive being made: read `stream` to its end, then `summary` and `index` settle. */
export interface ArchiveInMaking {
  readonly stream: Readable;
  readonly summary: Promise<ArchiveSummary>;
  /** Absolute path of the finished index file, in the work directory given. */
  readonly index: Promise<string>;
}

export interface PackOptions {
  /** A private directory for the index in making. */
  readonly workDirectory: string;
  /** zstd level; 1 loses almost no ratio against 3 and is faster by half. */
  readonly level: number;
  /** Called with the content bytes packed so far, at most a few times a second. */
  readonly onProgress?: (contentBytes: bigint) => void;
  readonly signal: AbortSignal;
}

export interface UnpackOptions {
  /** An existing, empty, private directory. Nothing is written outside it. */
  readonly into: string;
  /** From the manifest; compared at the end, DAMAGED when they differ. Nothing unpacked may be used before that. */
  readonly expected: { readonly size: bigint; readonly sha256: string };
  readonly onProgress?: (archiveBytes: bigint) => void;
  readonly signal: AbortSignal;
}
