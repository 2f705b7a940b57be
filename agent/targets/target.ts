/**
 * Where backup files are kept. One contract suite runs on every implementation; retry and bandwidth limit are wrappers of
 * this interface. Keys are `isKey` of common/names.
 */
import type { Readable } from 'node:stream';

export interface Stored {
  readonly key: string;
  readonly size: bigint;
  readonly sha256: string;
}

export interface Listed {
  readonly key: string;
  readonly size: bigint;
}

export interface TargetSpace {
  readonly totalBytes: bigint;
  readonly freeBytes: bigint;
  readonly usedByBackupsBytes: bigint;
}

/** What a stream of bytes amounts to, known when it has ended. */
export interface Digest {
  readonly size: bigint;
  readonly sha256: string;
}

/** Half-open: bytes from `start` up to, without, `end`. */
export interface ByteRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface Target {
  /** For messages: "the vault of node n1". */
  readonly name: string;

  /**
   * All or nothing: after it resolves the bytes are durable under `key`; when it rejects, `key` is as it was before.
   * An attempt that a newer one of its run has taken over from is FENCED, also at the end of its bytes. Consumes `bytes` with backpressure and
   * destroys it on failure. The end of a stream proves nothing: size and SHA-256 of what was sent are compared with what was written.
   * `known` saves a second hashing of what the packer has hashed already; it settles when `bytes` has been read to its end.
   * @throws AppError NO_SPACE, FENCED, FORBIDDEN, UNAVAILABLE, DAMAGED
   */
  put(key: string, bytes: Readable, signal: AbortSignal, known?: Promise<Digest>): Promise<Stored>;

  /** @throws AppError NOT_FOUND. A stream that breaks off emits an error, never a quiet end. */
  get(key: string, signal: AbortSignal, range?: ByteRange): Promise<Readable>;

  /** Every durable file below `prefix`, in order of key; nothing half-written is ever listed. */
  list(prefix: string, signal: AbortSignal): Promise<Listed[]>;

  /** A key that is not there is no error: deletion is repeatable. */
  delete(key: string, signal: AbortSignal): Promise<void>;

  freeSpace(signal: AbortSignal): Promise<TargetSpace>;
}
