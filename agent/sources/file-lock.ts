/** Whether a process holds a lock on a file: the file alone proves nothing, it stays when its process is killed. */
import { readFile } from 'node:fs/promises';
import { statOrMissing } from './configuration/tree.ts';

/** The locks of Java and of LMDB are POSIX locks, which the kernel lists. By inode only: the device it names differs on some file systems. */
export async function isLocked(path: string): Promise<boolean> {
  const stat = await statOrMissing(path);
  if (stat === undefined) return false;
  const locks = await readFile('/proc/locks', 'utf8');
  return new RegExp(`^\\d+: (?:POSIX|OFDLCK) .* [0-9a-f]+:[0-9a-f]+:${stat.ino} `, 'm').test(locks);
}
