/** The configuration paths before a backup: whether they are there, and how many bytes they hold. */
import { realpath } from 'node:fs/promises';
import { AppError } from '#common/errors.ts';
import type { SourceIo } from '../source.ts';
import { measureTree, statOrMissing } from './tree.ts';

/** @throws AppError NOT_FOUND, INVALID: what would be left out silently would be missed on the day of the restore. */
export async function measureConfiguration(paths: readonly string[], io: SourceIo): Promise<bigint> {
  let total = 0n;
  for (const path of paths) {
    const stat = await statOrMissing(path);
    if (stat === undefined) {
      throw new AppError('NOT_FOUND', `back up the configuration ${path}: it does not exist`, {
        hint: 'Correct the path in the configuration of the agent.',
      });
    }
    if (stat.isSymbolicLink()) await requireTargetKept(path, paths, io);
    total += (await measureTree(path)).bytes;
  }
  return total;
}

/** Of a link nothing but the link is kept: what it points to must lie in another of the paths. */
async function requireTargetKept(link: string, paths: readonly string[], io: SourceIo): Promise<void> {
  const target = await realpath(link).catch(() => undefined);
  if (target === undefined) {
    io.log('warn', `the configuration path ${link} is a symbolic link to nothing: only the link is kept`);
    return;
  }
  for (const path of paths) {
    // Another link to the same keeps it as little.
    if ((await statOrMissing(path))?.isSymbolicLink() === true) continue;
    if (`${target}/`.startsWith(`${await realpath(path).catch(() => path)}/`)) return;
  }
  throw new AppError(
    'INVALID',
    `back up the configuration ${link}: it is a symbolic link, and what it points to is not backed up`,
    {
      hint: `Name ${target} in the configuration of the agent, instead of the link or beside it.`,
    },
  );
}
