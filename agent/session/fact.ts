/**
 * What is told of this node, and may fail or hang with the disk that it is about. Then it is left out: an agent that one bad disk kept silent
 * would count as lost, with all that it does.
 */
import type { Logger } from '#common/log.ts';
import { unlessAborted } from './unless-aborted.ts';

/** Well within the lease. */
const PATIENCE_MS = 2000;

/** Answers undefined when it cannot be known now, having said why. */
export function createFact<T>(
  what: string,
  log: Logger,
  read: () => Promise<T>,
  patienceMs = PATIENCE_MS,
): () => Promise<T | undefined> {
  let reading: Promise<T> | undefined;
  return async () => {
    // One that hangs is not begun again: each keeps one of the few threads that read all files.
    reading ??= read().finally(() => (reading = undefined));
    try {
      return await unlessAborted(reading, AbortSignal.timeout(patienceMs));
    } catch (error) {
      log.error({ err: error }, `${what} cannot be read`);
      return undefined;
    }
  };
}
