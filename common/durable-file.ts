/** Small files that are there whole or not at all, whatever the moment the power goes: temporary name → fsync → rename → fsync of the directory. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Mode 600. Durable when it resolves. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  {
    await using file = await open(temporary, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** A file that is gone already is no error. Durable when it resolves. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
