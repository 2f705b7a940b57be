/** The place that dumps are written to before they are packed. */
import { statfs } from 'node:fs/promises';
import { formatSize } from '#common/bytes.ts';
import { AppError, toAppError } from '#common/errors.ts';

/** A file system with less than this free is full for a tool that failed on it. */
const FULL_BYTES = 1024n * 1024n;
const HINT = "Free space there, or put the agent's stateDirectory on a larger partition.";

/** @throws AppError NO_SPACE */
export async function requireSpool(directory: string, needed: bigint): Promise<void> {
  const free = await freeBytes(directory);
  if (free < needed) {
    throw new AppError(
      'NO_SPACE',
      `dump into ${directory}: ${formatSize(free)} are free there, and the dumps may need ${formatSize(needed)}`,
      { hint: HINT },
    );
  }
}

/** A tool says in its own language why it could not write; the file system says it for all of them. */
export async function orSpoolFull<T>(directory: string, doing: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const failure = toAppError(error, doing);
    if (failure.code !== 'TOOL' || (await freeBytes(directory)) >= FULL_BYTES) throw failure;
    throw new AppError('NO_SPACE', `${failure.message}; ${directory} is full`, { cause: failure, hint: HINT });
  }
}

async function freeBytes(directory: string): Promise<bigint> {
  const { bavail, bsize } = await statfs(directory, { bigint: true });
  return bavail * bsize;
}
