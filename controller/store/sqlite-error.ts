/** What SQLite says, in the words of the product. */
import { AppError, toAppError } from '#common/errors.ts';
import { tryAgain } from './database.ts';

export function sqliteError(caught: unknown, doing: string): AppError {
  // The low byte is the primary code: https://sqlite.org/rescode.html
  const code = caught instanceof Error && 'errcode' in caught ? Number(caught.errcode) & 0xff : undefined;
  const message = `${doing}: ${caught instanceof Error ? caught.message : String(caught)}`;
  switch (code) {
    case 5: // BUSY
    case 6: // LOCKED
      return tryAgain(`${doing}: another process writes to it`, caught);
    case 13: // FULL
      return new AppError('NO_SPACE', message, { cause: caught });
    case 11: // CORRUPT
    case 26: // NOTADB
      return new AppError('DAMAGED', message, {
        cause: caught,
        hint: 'Put this file aside, and restore the catalogue from a backup of it.',
      });
    case 19: // CONSTRAINT
      return new AppError('ALREADY_EXISTS', message, { cause: caught });
    default:
      return toAppError(caught, doing);
  }
}
