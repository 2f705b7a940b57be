/**
 * Puts a file or directory in the place of another: copied beside it first, compared, then swapped by two renames. The old
 * one stays under another name until commit. What each place looks like tells how far a death let it come.
 */
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { syncDirectory } from '#common/durable-file.ts';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { requireSameTree, statOrMissing } from './tree.ts';

/** A path staged for its place: JSON, so that it can be undone by another process. */
export const placedSchema = z.strictObject({
  path: z.string(),
  /** The new state, beside the path, until the switch. */
  staged: z.string(),
  /** The replaced state, beside the path, from the switch until the commit; null: there was none. */
  old: z.string().nullable(),
  /**
   * The inode of what was staged: by it the new state is known under any name. Not with its device, whose number may be
   * another after a restart of the machine; all the names are in one directory.
   */
  identity: z.string(),
  /** The topmost of the parent directories that had to be created. */
  createdParent: z.string().nullable(),
});
export type Placed = z.infer<typeof placedSchema>;

/** Copies `from` beside `path` with owner, modes, times, links and extended attributes, and compares. Repeatable after a death. */
export async function stagePlacement(from: string, path: string, time: string, signal: AbortSignal): Promise<Placed> {
  if ((await statOrMissing(from)) === undefined) {
    throw new AppError('DAMAGED', `restore ${path}: the backup does not hold it, though its manifest says so`);
  }
  return buildPlacement(path, time, signal, async (staged) => {
    await runTool({
      doing: `copy the restored ${path} beside it`,
      command: 'cp',
      args: ['-dRT', '--preserve=mode,ownership,timestamps,links,xattr', '--', from, staged],
      signal,
    });
    await requireSameTree(from, staged, signal);
  });
}

/** The same for what `build` makes, and compares, at the place given to it: where a copy would cost too much. */
export async function buildPlacement(
  path: string,
  time: string,
  signal: AbortSignal,
  build: (staged: string) => Promise<void>,
): Promise<Placed> {
  const createdParent = (await mkdir(dirname(path), { recursive: true })) ?? null;
  await removeStagedBefore(path);
  const staged = `${path}.holdfast-new-${time}`;
  try {
    await build(staged);
    // Renames survive a power cut sooner than what was written: without this the new place could hold empty files.
    await runTool({ doing: `make ${staged} durable`, command: 'sync', args: ['--file-system', dirname(path)], signal });
    const exists = (await statOrMissing(path)) !== undefined;
    const identity = await identityOf(staged);
    return { path, staged, old: exists ? `${path}.holdfast-old-${time}` : null, identity: identity ?? '', createdParent };
  } catch (error) {
    await rm(staged, { recursive: true, force: true });
    await removeCreatedParents(path, createdParent);
    throw error;
  }
}

/** One rename each, durable before the next. */
export function placementSteps(placed: Placed): (() => Promise<void>)[] {
  const { path, staged, old } = placed;
  return [...(old === null ? [] : [() => move(path, old)]), () => moveToFree(staged, path)];
}

/** The old state back in its place, from wherever the steps were cut off; what was staged is removed. Repeatable. */
export async function undoPlacement(placed: Placed): Promise<void> {
  const { path, staged, old } = placed;
  const oldAside = old !== null && (await statOrMissing(old)) !== undefined;
  // The old one is moved away first. With it back in its place, what lies there may have got the inode of what was removed.
  const switched = (old === null || oldAside) && (await identityOf(path)) === placed.identity;
  if (switched) await move(path, staged);
  if (oldAside) {
    if ((await statOrMissing(path)) !== undefined) {
      throw new AppError('UNKNOWN_STATE', `put back ${path}: something else took its place; the old state is in ${old}`, {
        hint: `Look at ${path}, move it away, then: mv ${old} ${path}`,
      });
    }
    await move(old, path);
  }
  await removeStaged(placed);
}

export async function removeStaged(placed: Placed): Promise<void> {
  await rm(placed.staged, { recursive: true, force: true });
  await removeCreatedParents(placed.path, placed.createdParent);
}

/** @throws AppError FAILED when what lies at the path is not what was staged. */
export async function checkPlacement(placed: Placed): Promise<string> {
  if ((await identityOf(placed.path)) !== placed.identity) {
    throw new AppError('FAILED', `check ${placed.path}: what lies there is not what was restored`);
  }
  return `configuration ${placed.path}: in place`;
}

export async function commitPlacement(placed: Placed): Promise<void> {
  if (placed.old !== null) await rm(placed.old, { recursive: true, force: true });
}

/** Old states that an earlier restore left when its agent died at the very end; shown, never removed by us. */
export async function leftoversOf(path: string): Promise<string[]> {
  return siblings(path, 'old');
}

/** What a restore that died in the middle of staging left. */
export async function removeStagedBefore(path: string): Promise<void> {
  for (const leftover of await siblings(path, 'new')) await rm(leftover, { recursive: true, force: true });
}

async function siblings(path: string, kind: 'new' | 'old'): Promise<string[]> {
  const parent = dirname(path);
  if ((await statOrMissing(parent))?.isDirectory() !== true) return [];
  const prefix = `${basename(path)}.holdfast-${kind}-`;
  const names = await readdir(parent);
  return names
    .filter((name) => name.startsWith(prefix) && /^\d{14}$/.test(name.slice(prefix.length)))
    .map((name) => join(parent, name));
}

/** A rename would replace a file that came there since it was looked at. */
async function moveToFree(staged: string, path: string): Promise<void> {
  if ((await statOrMissing(path)) !== undefined) {
    throw new AppError('FAILED', `switch ${path}: something came to that place meanwhile`, {
      hint: `Find out what wrote ${path}, stop it, and restore again.`,
    });
  }
  await move(staged, path);
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
}

async function identityOf(path: string): Promise<string | undefined> {
  const stat = await statOrMissing(path);
  return stat === undefined ? undefined : String(stat.ino);
}

/** Empty ones only: what came into them meanwhile stays. */
async function removeCreatedParents(path: string, topmost: string | null): Promise<void> {
  if (topmost === null) return;
  for (let parent = dirname(path); parent.startsWith(topmost); parent = dirname(parent)) {
    try {
      await rmdir(parent);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT') continue;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return;
      throw error;
    }
  }
}
