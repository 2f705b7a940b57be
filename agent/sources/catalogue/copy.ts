/** A copy of the controller's catalogue while it is used: of one moment, in one file, checked. */
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, chmod, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { AppError, toAppError } from '#common/errors.ts';

/** @throws AppError when it cannot be read */
export async function requireCatalogue(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
    if ((await stat(path)).isFile()) return;
  } catch (error) {
    throw new AppError('INVALID', `read the catalogue ${path}, named by sources.oms.catalogue: ${reason(error)}`, {
      cause: error,
      hint: 'Name the catalogue.sqlite of the controller on this node (its stateDirectory), readable for the agent; start the controller once to make it. Where the catalogue lies in PostgreSQL, leave the setting away.',
    });
  }
  throw new AppError('INVALID', `the catalogue ${path}, named by sources.oms.catalogue, is no file`, {
    hint: 'Name the catalogue.sqlite in the stateDirectory of the controller.',
  });
}

/** With what has not been moved into it yet. */
export async function catalogueBytes(path: string): Promise<bigint> {
  const sizes = await Promise.all(
    [path, `${path}-wal`].map((file) =>
      stat(file, { bigint: true }).then(
        ({ size }) => size,
        () => 0n,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0n);
}

/** @throws AppError DAMAGED when the copy is not sound, and whatever the signal says. */
export async function copyCatalogue(from: string, to: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const worker = new Worker(new URL('./copy-worker.ts', import.meta.url), { workerData: { from, to } });
  try {
    await once(worker, 'message', { signal });
    await chmod(to, 0o600);
  } catch (error) {
    signal.throwIfAborted();
    const damaged = error instanceof Error && /damaged|malformed|not a database/.test(error.message);
    throw new AppError(damaged ? 'DAMAGED' : 'TOOL', `copy the catalogue ${from}: ${reason(error)}`, {
      cause: error,
      hint: 'Look whether the controller works, and at the disk of its stateDirectory.',
    });
  } finally {
    await worker.terminate();
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : toAppError(error, 'read it').message;
}
