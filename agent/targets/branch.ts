/** What one of the two vaults gets of a stream that goes to both. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { Clock } from '#common/clock.ts';
import { toAppError } from '#common/errors.ts';
import type { AppError } from '#common/errors.ts';
import type { Digest, Stored, Target } from './target.ts';

export interface LocalDirVault {
  readonly node: string;
  readonly target: Target;
  readonly active: boolean;
}

/** Bytes that one vault may lag behind the other. */
const LAG = 8 * 1024 * 1024;

export interface Branch {
  readonly vault: LocalDirVault;
  readonly pipe: PassThrough;
  readonly stop: AbortController;
  /** Never rejects. */
  readonly done: Promise<Stored | AppError>;
  failed: AppError | undefined;
}

export function begin(vault: LocalDirVault, key: string, signal: AbortSignal, known: Promise<Digest> | undefined): Branch {
  const pipe = new PassThrough({ highWaterMark: LAG });
  const stop = new AbortController();
  const done = vault.target.put(key, pipe, AbortSignal.any([signal, stop.signal]), known).catch((error: unknown) => {
    branch.failed ??= toAppError(error, `store ${key} in ${vault.target.name}`);
    pipe.destroy();
    return branch.failed;
  });
  const branch: Branch = { vault, pipe, stop, done, failed: undefined };
  // What ends a pipe is told by `done`.
  pipe.on('error', () => undefined);
  return branch;
}

/** Bytes that the vault has not taken yet. */
export function heldBy({ pipe }: Branch): number {
  return pipe.writableLength + pipe.readableLength;
}

/**
 * At the next sign of one of them, or when the time is over: true. Whose fault it is that a pipe broke is told by its `done`.
 */
export async function stirred(branches: readonly Branch[], limit?: { clock: Clock; ms: number }): Promise<boolean> {
  const over = new AbortController();
  const signs = branches.flatMap(({ pipe }) =>
    ['drain', 'end', 'close'].map((sign) => once(pipe, sign, { signal: over.signal }).then(() => false)),
  );
  if (limit !== undefined) signs.push(limit.clock.sleep(limit.ms, over.signal).then(() => true));
  try {
    return await Promise.race(signs);
  } catch {
    return false;
  } finally {
    over.abort();
  }
}
