/**
 * DataNodes that fail: others are asked, and when there is none, after a pause, the same again, for they may just be starting. A NameNode goes on
 * naming one that is dead for ten minutes.
 */
import type { Clock } from '#common/clock.ts';
import { toAppError } from '#common/errors.ts';
import type { AppError } from '#common/errors.ts';
import { pauseAfter } from './call.ts';
import { isPassing } from './remote-error.ts';

export interface Candidates {
  /** Not to be asked for now; named as HDFS knows them, which is not what a redirection calls them. */
  readonly failed: ReadonlySet<string>;
  /** Something came. */
  progressed(): void;
  /**
   * Returns when it is worth while to ask again.
   * @param from `host:port` of the DataNode that failed; undefined: a NameNode did.
   * @throws AppError what is in the way: it does not pass, or nothing came for too long.
   */
  bear(caught: unknown, from: string | undefined): Promise<void>;
}

export interface Asking {
  readonly doing: string;
  /** For so long nothing may come, whoever is asked. */
  readonly patienceMs: number;
  /** What HDFS knows a DataNode by: its address, or that and the port of block transfer. undefined: it cannot be told. */
  readonly nameOf: (from: string) => Promise<string | undefined>;
}

export function createCandidates(clock: Clock, { doing, patienceMs, nameOf }: Asking, signal: AbortSignal): Candidates {
  const failed = new Set<string>();
  let reason: AppError | undefined;
  let rounds = 0;
  let since = clock.monotonic();

  return {
    failed,
    progressed() {
      failed.clear();
      rounds = 0;
      since = clock.monotonic();
    },
    async bear(caught, from) {
      signal.throwIfAborted();
      const error = toAppError(caught, doing);
      // Of a DataNode FAILED may be its own fault; so says a NameNode, in words of its own, when every one has failed.
      if (!isPassing(error) && error.code !== 'FAILED') throw error;
      if (from !== undefined || reason === undefined) reason = error;
      if (clock.monotonic() - since > patienceMs) throw reason;
      const name = from === undefined ? undefined : await nameOf(from);
      if (name !== undefined && !failed.has(name)) {
        failed.add(name);
        return;
      }
      if (!isPassing(reason)) throw reason;
      failed.clear();
      await clock.sleep(pauseAfter(rounds++), signal);
    },
  };
}
