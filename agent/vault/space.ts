/**
 * The two limits of LocalBackup, checked before a file is begun and held while it is written: what must stay free on the partition, and
 * what all backup files together may take. See docs/decisions/0003.
 */
import { statfs } from 'node:fs/promises';
import { formatSize } from '#common/bytes.ts';
import { AppError } from '#common/errors.ts';
import type { TargetSpace } from '../targets/target.ts';

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
  giveBack(bytes: bigint): void;
}

/** The partition is asked again after this much was written: other programs fill it too. */
const ASK_EVERY = 16 * 1024 * 1024;

export function keepSpace(directory: string, usedAtStart: bigint, limits: VaultLimits): SpaceKeeper {
  let used = usedAtStart;
  let sinceAsked = 0;

  async function partition(): Promise<{ totalBytes: bigint; freeBytes: bigint }> {
    const { bsize, blocks, bavail } = await statfs(directory, { bigint: true });
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  }

  function requireCap(doing: string): void {
    if (used <= limits.capBytes) return;
    throw new AppError(
      'NO_SPACE',
      `${doing}: the backup files in ${directory} would take ${formatSize(used)}, and ${formatSize(limits.capBytes)} are allowed`,
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
    space: async () => ({ ...(await partition()), usedByBackupsBytes: used }),
    async requireRoom(doing) {
      requireCap(doing);
      await requireFree(doing);
    },
    async take(bytes, doing) {
      used += BigInt(bytes);
      sinceAsked += bytes;
      requireCap(doing);
      if (sinceAsked < ASK_EVERY) return;
      sinceAsked = 0;
      await requireFree(doing);
    },
    giveBack(bytes) {
      used -= bytes;
    },
  };
}
