/**
 * The two limits of LocalBackup, checked before a file is begun and held while it is written: what must stay free on the partition, and
 * what all backup files together may take. See docs/decisions/0003.
 */
import { statfs } from 'node:fs/promises';
import { formatSize } from '#common/bytes.ts';
import { AppError } from '#common/errors.ts';
import type { TargetSpace } from '../targets/target.ts';
import type { Changes, Storage } from './storage.ts';

export interface VaultLimits {
  /** 600 GB by default, as documented. */
  readonly capBytes: bigint;
  /** 20 GB by default, as documented: this much must stay free. */
  readonly minimumFreeBytes: bigint;
}

export interface SpaceKeeper {
  space(): Promise<TargetSpace>;
  /** Before a file is begun. @throws AppError NO_SPACE */
  requireRoom(doing: string): Promise<void>;
  /** For each part about to be written. @throws AppError NO_SPACE */
  take(bytes: number, doing: string): Promise<void>;
  /** What was taken for a file that came to nothing. */
  drop(bytes: bigint): void;
  /** A file of what was taken stands now, in place of one of `replaced` bytes. Within a change. */
  published(bytes: bigint, replaced: bigint): void;
  /** Within a change. */
  removed(bytes: bigint): void;
  /** The error to report when the partition takes no more. */
  full(doing: string, unwritten?: number): Promise<AppError>;
}

/** The partition is asked again after this much was written: other programs fill it too. */
const ASK_EVERY = 16 * 1024 * 1024;

export async function keepSpace(storage: Storage, changes: Changes, limits: VaultLimits): Promise<SpaceKeeper> {
  const { directory } = storage;
  let stored = 0n;
  /** Of files in making. */
  let taken = 0n;
  let sinceAsked = 0;
  await count();

  async function count(): Promise<void> {
    await changes(async () => {
      stored = (await storage.list('')).reduce((sum, { size }) => sum + size, 0n);
    });
  }

  async function partition(): Promise<{ totalBytes: bigint; freeBytes: bigint }> {
    const { bsize, blocks, bavail } = await statfs(directory, { bigint: true });
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  }

  async function requireCap(doing: string): Promise<void> {
    if (stored + taken <= limits.capBytes) return;
    // Somebody may have made room by hand: what is refused must be true.
    await count();
    if (stored + taken <= limits.capBytes) return;
    throw new AppError(
      'NO_SPACE',
      `${doing}: the backup files in ${directory} would take ${formatSize(stored + taken)}, and ${formatSize(limits.capBytes)} are allowed`,
      { hint: 'Delete sets that are not needed, lower the copies of tasks, or raise capBytes of this vault.' },
    );
  }

  async function requireFree(doing: string): Promise<void> {
    const { freeBytes } = await partition();
    if (freeBytes > limits.minimumFreeBytes) return;
    throw new AppError(
      'NO_SPACE',
      `${doing}: the partition of ${directory} has ${formatSize(freeBytes)} free, and more than ${formatSize(limits.minimumFreeBytes)} must stay free`,
    );
  }

  return {
    space: async () => ({ ...(await partition()), usedByBackupsBytes: stored + taken }),
    async requireRoom(doing) {
      await requireCap(doing);
      await requireFree(doing);
    },
    async take(bytes, doing) {
      taken += BigInt(bytes);
      sinceAsked += bytes;
      await requireCap(doing);
      if (sinceAsked < ASK_EVERY) return;
      sinceAsked = 0;
      await requireFree(doing);
    },
    drop(bytes) {
      taken -= bytes;
    },
    published(bytes, replaced) {
      taken -= bytes;
      stored += bytes - replaced;
    },
    removed(bytes) {
      stored -= bytes;
    },
    async full(doing, unwritten) {
      const { freeBytes } = await partition();
      const wanted = unwritten === undefined ? 'that is not enough' : `${formatSize(BigInt(unwritten))} more were to be written`;
      return new AppError('NO_SPACE', `${doing}: the partition of ${directory} has ${formatSize(freeBytes)} free, and ${wanted}`);
    },
  };
}
