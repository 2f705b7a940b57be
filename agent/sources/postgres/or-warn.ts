import { toAppError } from '#common/errors.ts';
import type { SourceIo } from '../source.ts';

/** For clean-up after the outcome is decided: what fails is told with what to do by hand, and changes the outcome no more. */
export async function orWarn(io: SourceIo, doing: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    io.log('warn', `${toAppError(error, doing).message}; do it by hand: ${doing}`);
  }
}
