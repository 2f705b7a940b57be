/** What PostgreSQL and its client say, in the words of the product. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
import { DatabaseError } from 'pg';
import { AppError, toAppError } from '#common/errors.ts';
import { tryAgain } from './database.ts';

const GONE_HINT = 'Check that PostgreSQL runs and can be reached; nothing else needs to be done.';
const LOGIN_HINT = "Check user, database and passwordFile, and the server's pg_hba.conf.";

export function postgresError(caught: unknown, doing: string): AppError {
  if (caught instanceof AppError) return caught;
  const message = `${doing}: ${caught instanceof Error ? caught.message : String(caught)}`;
  if (!(caught instanceof DatabaseError)) {
    const known = toAppError(caught, doing);
    // What has no code of its own is the client's word for a line that broke.
    const code = known.code === 'FAILED' ? 'UNAVAILABLE' : known.code;
    return new AppError(code, known.message, { cause: caught, ...(code === 'UNAVAILABLE' && { hint: GONE_HINT }) });
  }
  switch (caught.code) {
    case '40001': // serialization_failure
    case '40P01': // deadlock_detected
      return tryAgain(message, caught);
    case '23505': // unique_violation
      return new AppError('ALREADY_EXISTS', message, { cause: caught });
    case '53100': // disk_full
      return new AppError('NO_SPACE', message, { cause: caught });
    case '28000': // invalid_authorization_specification
    case '28P01': // invalid_password
      return new AppError('UNAUTHENTICATED', message, { cause: caught, hint: LOGIN_HINT });
    case '3D000': // invalid_catalog_name
      return new AppError('NOT_FOUND', message, { cause: caught, hint: 'Create the database, or correct its name.' });
    case '42501': // insufficient_privilege
      return new AppError('FORBIDDEN', message, {
        cause: caught,
        hint: 'Make the user of the catalogue the owner of its database.',
      });
    case 'XX001': // data_corrupted
    case 'XX002': // index_corrupted
      return new AppError('DAMAGED', message, {
        cause: caught,
        hint: 'Restore the database of the catalogue from a backup of it.',
      });
    default:
      return isLost(caught)
        ? new AppError('UNAVAILABLE', message, { cause: caught, hint: GONE_HINT })
        : new AppError('FAILED', message, { cause: caught });
  }
}

/** The connection is of no use any more, or the server did not get to what it was asked. */
export function isLost(caught: unknown): boolean {
  if (!(caught instanceof DatabaseError)) return true;
  const { code = '' } = caught;
  // Connection exceptions, too few resources, operator intervention (a shutdown, a time-out), locks not had in time.
  return /^(08|53|57)/.test(code) || code === '55P03' || code === '25P03' || code === '25P04';
}
