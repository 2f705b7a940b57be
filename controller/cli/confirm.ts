/** Acts that destroy or overwrite are asked about; without a person, only `--yes` answers. */
import { confirm as ask, isCancel } from '@clack/prompts';
import { AppError } from '#common/errors.ts';
import type { Terminal } from './terminal.ts';

/** `act` completes "Do you want to …?". @throws AppError REFUSED when nobody agreed */
export async function requireConsent(terminal: Terminal, act: string, yes: boolean | undefined): Promise<void> {
  if (yes === true) return;
  if (!terminal.interactive) {
    throw new AppError('REFUSED', `${act}: this needs a yes, and nobody can be asked here`, {
      hint: 'Add --yes when you are sure.',
    });
  }
  const answer = await ask({ message: `Do you want to ${act}?`, initialValue: false, signal: terminal.signal });
  if (isCancel(answer) || !answer) {
    throw new AppError('STOPPED', `${act}: not done, as you answered`, { hint: 'Nothing was changed.' });
  }
}
