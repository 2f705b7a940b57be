/**
 * HDFS over WebHDFS: our own small client, for npm's rests on a dead HTTP library. Paths are absolute and as HDFS has them, any Unicode; those
 * below `/x/.snapshot/s` and `/.reserved/raw` are paths like others. A NameNode that fails over is followed. Every call fails with an
 * AppError that names the path: NOT_FOUND, ALREADY_EXISTS, FORBIDDEN, NO_SPACE (of a quota, too), REFUSED, UNAVAILABLE, TIMEOUT, FAILED.
 */
import type { Readable } from 'node:stream';
import { Agent } from 'undici';
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { createAttributeCalls } from './attributes.ts';
import type { AttributeCalls } from './attributes.ts';
import { CONNECT_MS, createCaller, SILENCE_MS } from './call.ts';
import { createFile } from './create.ts';
import type { CreateOptions } from './create.ts';
import { createDataNodes } from './data-nodes.ts';
import { createDirectoryCalls } from './directories.ts';
import type { DirectoryCalls } from './directories.ts';
import { createSnapshotCalls } from './snapshots.ts';
import type { SnapshotCalls } from './snapshots.ts';
import { openFile } from './open.ts';

export type { FileStatus } from './status.ts';
export type { SnapshotDiff } from './snapshot-diff.ts';

export interface WebHdfsSettings {
  /** `host:port` of the HTTP server of each NameNode: one, or the pair of an HA cluster in any order. */
  readonly addresses: readonly string[];
  /** Whom the NameNode takes the calls to be of. */
  readonly user: string;
  /** Open connections to each server at most; as many again to write. */
  readonly connections: number;
  /** A server that says nothing for so long is given up; 60,000 when not said. */
  readonly silenceMs?: number;
  /** For so long a server that is away, in standby or starting is asked again; 60,000 when not said. */
  readonly patienceMs?: number;
}

export interface WebHdfs extends DirectoryCalls, AttributeCalls, SnapshotCalls, AsyncDisposable {
  /**
   * Exactly `length` bytes from `offset` on. It goes on at another DataNode when one breaks off; a stream that cannot
   * be brought to its end emits an error, never a quiet end. @throws AppError REFUSED when the file has less.
   */
  open(path: string, offset: bigint, length: bigint, signal: AbortSignal): Promise<Readable>;
  /**
   * Parents are made, too. DataNodes that take no connection are passed over; the bytes are sent once, and what is
   * half-written when it rejects may lie there. Rejects with the error of `bytes` when that is what failed.
   */
  create(path: string, bytes: Readable | Uint8Array, options: CreateOptions, signal: AbortSignal): Promise<void>;
}

export function createWebHdfs(settings: WebHdfsSettings, clock: Clock = systemClock): WebHdfs {
  const { connections, silenceMs = SILENCE_MS } = settings;
  const dispatcher = new Agent({
    connections,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    connect: { timeout: CONNECT_MS },
  });
  const caller = createCaller(settings, dispatcher, clock);
  const dataNodes = createDataNodes(caller, settings, dispatcher, clock);
  return {
    ...createDirectoryCalls(caller),
    ...createAttributeCalls(caller, dataNodes),
    ...createSnapshotCalls(caller),
    open: (path, offset, length, signal) => openFile(dataNodes, { path, offset, length }, signal),
    create: (path, bytes, options, signal) => createFile(dataNodes, path, bytes, options, signal),
    async [Symbol.asyncDispose]() {
      dataNodes[Symbol.dispose]();
      await dispatcher.destroy();
    },
  };
}
