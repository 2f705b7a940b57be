/** One agent a state directory: a second one would take the work of the first for cut off, and undo it. */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { AppError } from '#common/errors.ts';

/** Held until disposed. @throws AppError REFUSED while another agent lives in it. */
export async function claimDirectory(directory: string): Promise<AsyncDisposable> {
  const { dev, ino } = await stat(directory);
  const server = createServer((socket) => socket.destroy());
  try {
    // Linux's abstract namespace: no file, so nothing is left behind however the process dies.
    server.listen(`\0holdfast-agent-${dev}-${ino}`);
    await once(server, 'listening');
  } catch (error) {
    throw new AppError('REFUSED', `another agent works in ${directory}`, {
      cause: error,
      hint: 'Stop that agent first, or give this one a stateDirectory of its own.',
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
