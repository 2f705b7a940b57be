/** On failure what is incomplete is deleted, so that no half backup takes space or is mistaken for one. */
import { withTimeout } from '#common/clock.ts';
import { toAppError } from '#common/errors.ts';
import type { RunIo } from './run-io.ts';
import type { VaultPair } from './vault-pair.ts';

const CLEAN_UP_MS = 30_000;

/** Never throws: the failure that led here is the one to report. Answers what is left, to be reported with it. */
export async function removeIncomplete(vaults: VaultPair, prefix: string, io: RunIo): Promise<string | undefined> {
  try {
    // The signal may be what ended the run, so the clean-up has its own time to do it.
    await vaults.clear(prefix, withTimeout(CLEAN_UP_MS, new AbortController().signal));
  } catch (error) {
    return told(`what is incomplete below ${prefix} could not be removed: ${toAppError(error, 'clear').message}`, io);
  }
  // The standby may fail without ending anything; then it was left out of this too.
  const failed = vaults.results().filter(({ fault }) => fault !== undefined);
  if (failed.length > 0) return told(`${failed.map(({ node }) => node).join(', ')} may still hold parts below ${prefix}`, io);
  io.log('info', `removed what was incomplete below ${prefix}`);
  return undefined;
}

function told(left: string, io: RunIo): string {
  io.log('error', left);
  return left;
}
