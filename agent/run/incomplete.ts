/** On failure what is incomplete is deleted, so that no half backup takes space or is mistaken for one. */
import { withTimeout } from '#common/clock.ts';
import { toAppError } from '#common/errors.ts';
import type { RunIo } from './run-io.ts';
import type { VaultPair } from './vault-pair.ts';

const CLEAN_UP_MS = 30_000;

/** Never throws: the failure that led here is the one to report. What could not be removed is logged; the controller's clean-up pass retries. */
export async function removeIncomplete(vaults: VaultPair, prefix: string, io: RunIo): Promise<void> {
  try {
    await vaults.clear(prefix, withTimeout(CLEAN_UP_MS, new AbortController().signal));
    io.log('info', `removed what was incomplete below ${prefix}`);
  } catch (error) {
    io.log('error', toAppError(error, `remove what is incomplete below ${prefix}`).message);
  }
}
