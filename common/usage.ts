/** What commander says of bad arguments, as an error like every other: with what to do next. */
import type { CommanderError } from 'commander';
import { AppError } from './errors.ts';

export function usageError(error: CommanderError): AppError {
  if (error.code === 'commander.help') {
    return new AppError('INVALID', 'a command is missing', { hint: 'Choose one of the commands listed above.' });
  }
  const message = error.message.replace(/^error: /, '').trim();
  return new AppError('INVALID', message, { hint: 'Add --help to the command to see what it takes.' });
}
