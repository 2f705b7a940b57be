/** What was named is not there: with the command that lists what is. */
import { AppError } from '#common/errors.ts';

export function notFound(kind: 'task' | 'run' | 'restore' | 'agent', message: string): AppError {
  return new AppError('NOT_FOUND', message, { hint: `See what there is, and check the name: holdfast ${kind} list` });
}
