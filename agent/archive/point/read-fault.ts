import { AppError, toAppError } from '#common/errors.ts';

/** What was met while a file was read, as an error that names the file, whoever knew of it or not. */
export function readFault(caught: unknown, path: string): AppError {
  const error = toAppError(caught, `read ${path}`);
  if (error.message.includes(path)) return error;
  return new AppError(error.code, `read ${path}: ${error.message}`, { cause: error, hint: error.hint });
}
