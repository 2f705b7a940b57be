/** Secrets live in files of mode 600 on the node that uses them; configuration names the file. They are never logged or put in arguments. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { AppError, toAppError } from './errors.ts';

/** One secret (a password), without its final newline. @throws AppError INVALID when others may read the file; NOT_FOUND. */
export async function readSecret(path: string): Promise<string> {
  return (await readPrivateFile(path)).toString('utf8').replace(/\r?\n$/, '');
}

/** A file that only its owner may read. Checked on the open file, so that it cannot be swapped between check and read. */
export async function readPrivateFile(path: string): Promise<Buffer> {
  try {
    // Not waiting for a writer, should it be a FIFO.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw new AppError('INVALID', `the secret file ${path} is no plain file`);
    const { mode } = stat;
    if ((mode & 0o077) !== 0) {
      throw new AppError('INVALID', `the secret file ${path} can be read by others (mode ${(mode & 0o777).toString(8)})`, {
        hint: `Run: chmod 600 ${path}`,
      });
    }
    return await file.readFile();
  } catch (error) {
    throw toAppError(error, `read the secret file ${path}`);
  }
}
