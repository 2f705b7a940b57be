/**
 * DataNodes that failed to give what they have of a file: others are asked, and when there is none, after a pause, the same again, for they may
 * just be starting.
 */
import { z } from 'zod';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { pauseAfter } from './call.ts';
import type { Caller } from './call.ts';
import { isPassing } from './remote-error.ts';
import { parseAnswer } from './status.ts';

export interface Replicas {
  /** Not to be asked for now, as HDFS takes them: an address and the port of block transfer, not what a redirection names. */
  readonly failed: ReadonlySet<string>;
  /** Something came. */
  progressed(): void;
  /**
   * Returns when it is worth while to ask again.
   * @param from `host:port` of the DataNode that failed; undefined: a NameNode did.
   * @param at The byte that was asked for.
   * @throws AppError what is in the way: it does not pass, or nothing came for too long.
   */
  bear(caught: unknown, from: string | undefined, at: bigint): Promise<void>;
}

export interface Reading {
  readonly path: string;
  readonly doing: string;
  /** For so long nothing may come, whoever is asked. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

const blockLocations = z.object({
  LocatedBlocks: z.object({
    locatedBlocks: z.array(
      z.object({ locations: z.array(z.object({ name: z.string(), hostName: z.string(), infoPort: z.int() })) }),
    ),
  }),
});

export function createReplicas(caller: Caller, clock: Clock, { path, doing, patienceMs, signal }: Reading): Replicas {
  const failed = new Set<string>();
  let reason: AppError | undefined;
  let rounds = 0;
  let since = clock.monotonic();

  async function nameOf(from: string, at: bigint): Promise<string | undefined> {
    const parameters = { offset: at, length: 1 };
    const answer = await caller.ask({ method: 'GET', op: 'GET_BLOCK_LOCATIONS', path, parameters, doing }, signal);
    return parseAnswer(blockLocations, answer, doing)
      .LocatedBlocks.locatedBlocks.flatMap(({ locations }) => locations)
      .find(({ hostName, infoPort }) => `${hostName}:${infoPort}` === from)?.name;
  }

  return {
    failed,
    progressed() {
      failed.clear();
      rounds = 0;
      since = clock.monotonic();
    },
    async bear(caught, from, at) {
      signal.throwIfAborted();
      const error = toAppError(caught, doing);
      // Of a DataNode FAILED may be its own fault; so says a NameNode, in words of its own, when every replica has failed.
      if (!isPassing(error) && error.code !== 'FAILED') throw error;
      if (from !== undefined || reason === undefined) reason = error;
      if (clock.monotonic() - since > patienceMs) throw reason;
      const name = from === undefined ? undefined : await nameOf(from, at);
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
