/** One agent, one controller a state directory: a second one would take the work of the first for cut off, or take the lead from it. */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { AppError, toAppError } from './errors.ts';

/** Held until disposed, or the process ends. @throws AppError REFUSED while another one of this kind lives in it. */
export async function claimDirectory(directory: string, kind: 'agent' | 'controller'): Promise<AsyncDisposable> {
  const { dev, ino } = await stat(directory);
  const server = createServer((socket) => socket.destroy());
  try {
    // Linux's abstract namespace: no file, so nothing is left behind however the process dies.
    server.listen(`\0holdfast-${kind}-${dev}-${ino}`);
    await once(server, 'listening');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) {
      throw toAppError(error, `claim ${directory} for this ${kind}`);
    }
    throw new AppError('REFUSED', `another ${kind} works in ${directory}`, {
      cause: error,
      hint: `Stop that ${kind} first, or give this one a stateDirectory of its own.`,
    });
  }
  server.unref();
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
