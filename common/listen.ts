/** Why a server cannot listen where its configuration says, and what to do about it. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { AppError, toAppError } from './errors.ts';

/**
 * `setting`: where the address stands in the configuration. `caught` is what the server said; grpc-js gives a text only, so the reason
 * is had by trying again.
 */
export async function listenError(
  caught: unknown,
  { host, port }: { readonly host: string; readonly port: number },
  setting: string,
): Promise<AppError> {
  const cause = (await listenBriefly(host, port)) ?? caught;
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

async function listenBriefly(host: string, port: number): Promise<unknown> {
  const server = createServer();
  try {
    await once(server.listen(port, host), 'listening');
    return undefined;
  } catch (error) {
    return error;
  } finally {
    server.close();
  }
}
