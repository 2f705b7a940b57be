/** The life of a daemon as a process: whatever ends it is told with what to do next, and gives the exit status of the error table. */
import { CommanderError } from 'commander';
import type { Command } from 'commander';
import { ERROR_CODES, toAppError } from './errors.ts';
import { usageError } from './usage.ts';

/** `main` runs after the arguments are parsed; without it the actions of the program do the work. */
export async function runDaemon(program: Command, doing: string, main?: () => Promise<void>): Promise<void> {
  // Commander would end the process itself, with a status and words of its own.
  program.exitOverride().configureOutput({ outputError: () => undefined });
  try {
    await program.parseAsync();
    await main?.();
  } catch (caught) {
    const isUsage = caught instanceof CommanderError;
    if (isUsage && caught.exitCode === 0) return;
    const error = isUsage ? usageError(caught) : toAppError(caught, doing);
    process.stderr.write(`error: ${error.message}\nnext: ${error.hint}\n`);
    process.exitCode = ERROR_CODES[error.code].exit;
  }
}
