/** Everything below a path of a snapshot, in the order of the index, attributes asked for ahead and several at once. */
import { AppError } from '#common/errors.ts';
import type { PointEntry } from '../../archive/point/point.ts';
import type { FileStatus, WebHdfs } from '../../hdfs/webhdfs.ts';
import { asJson } from './attributes.ts';
import type { AttributeReader, EntryAttributes } from './attributes.ts';
import { join } from './paths.ts';
import type { Excludes } from './select.ts';

/** What a walk needs of its surroundings. */
export interface Walking {
  readonly hdfs: WebHdfs;
  readonly attributes: AttributeReader;
  readonly isExcluded: Excludes;
  /** Where a path of the tree is in the snapshot. */
  readonly read: (path: string) => string;
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
}

/** An entry on its way: its attributes are not asked for yet. */
export interface Coming {
  /** Bytes that the archive will hold of it, at most. */
  readonly newBytes: bigint;
  make(): Promise<PointEntry>;
}

export async function* walk(
  walking: Walking,
  path: string,
  status: FileStatus,
  above: FileStatus | undefined,
): AsyncGenerator<Coming> {
  const { hdfs, attributes, isExcluded, read, signal, warn } = walking;
  if (isExcluded(path)) return;
  if (status.type === 'symlink') return warn(`${path} is left out: it is a symbolic link`);
  refuseEncrypted(path, status);
  yield {
    newBytes: status.size,
    async make() {
      const asked = await attributes.ask(read(path), status, signal);
      return entryOf(path, status, attributes.combine(status, above, asked), read);
    },
  };
  if (status.type !== 'directory') return;
  for await (const child of hdfs.list(read(path), signal)) yield* walk(walking, join(path, child.name), child, status);
}

/** New, or to be read anew. */
export function entryOf(path: string, status: FileStatus, attributes: EntryAttributes, read: Walking['read']): PointEntry {
  return {
    path,
    type: status.type,
    size: status.size,
    attributes: asJson(attributes),
    mode: status.mode,
    modifiedMs: status.modifiedMs,
    content: status.type === 'file' && status.size > 0n ? { kind: 'read', from: read(path) } : undefined,
    inTar: true,
  };
}

/** As plain bytes they would be stored readable for all, and as they are they could not be read again. */
export function refuseEncrypted(path: string, { encrypted }: FileStatus): void {
  if (!encrypted) return;
  throw new AppError('REFUSED', `${path} is in an encryption zone, which cannot be backed up yet`, {
    hint: 'Leave it out: select other paths, or exclude it.',
  });
}
