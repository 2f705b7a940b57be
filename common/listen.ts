/** Why a server cannot listen where its configuration says, and what to do about it. */
import { AppError, toAppError } from './errors.ts';

/** `setting`: where the address stands in the configuration. */
export function listenError(
  cause: unknown,
  { host, port }: { readonly host: string; readonly port: number },
  setting: string,
): AppError {
  const failure = toAppError(cause, `listen on ${host}:${port}`);
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return new AppError('REFUSED', `listen on ${host}:${port}: another process has the port ${port}`, {
        cause,
        hint: `Stop that process (\`ss -ltnp 'sport = :${port}'\` names it), or set another port in ${setting}.`,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new AppError('INVALID', failure.message, { cause, hint: `Set an address of this node in ${setting}.` });
    case 'EACCES':
      return new AppError('FORBIDDEN', failure.message, { cause, hint: `Set a port above 1023 in ${setting}.` });
    default:
      return failure;
  }
}
