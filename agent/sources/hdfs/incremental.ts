/**
 * The entries of a point that builds on an older one. Every directory is listed, for HDFS's difference of two snapshots says nothing of
 * times, nor of a file that was cut and written to its old size again: a listing tells both. What it does not tell and would cost a call for
 * each entry (ACL, extended attributes, quota) is asked for only of what is new or told to be modified; and content is read only where it may
 * have changed.
 */
import type { PointEntry } from '../../archive/point/point.ts';
import type { FileStatus } from '../../hdfs/webhdfs.ts';
import type { AskedAttributes, EntryAttributes } from './attributes.ts';
import type { Changes } from './changes.ts';
import type { OldEntry, OldIndex } from './old-index.ts';
import { join } from './paths.ts';
import { entryOf, refuseEncrypted, walk } from './walk.ts';
import type { Coming, Walking } from './walk.ts';

export interface Building extends Walking {
  readonly old: OldIndex;
  readonly changes: Changes;
  /** Where a path of the older point is in its own snapshot. */
  readonly readOld: (path: string) => string;
}

/** Where something is, and what it lies in. */
export interface Place {
  readonly path: string;
  /** What it was called in the older point, unless it was renamed itself: the directory above may have been. */
  readonly oldPath: string;
  /** The status of the directory that it lies in; undefined for what was selected itself. */
  readonly above: FileStatus | undefined;
}

/** A selected path, or one that was listed: compared with what the older point has of it, or walked as new. */
export async function* build(building: Building, place: Place, status: FileStatus): AsyncGenerator<Coming> {
  const { hdfs, isExcluded, read, signal } = building;
  const { path, above } = place;
  if (isExcluded(path)) return;
  const before = oldOf(building, place, status);
  if (before === undefined) return yield* walk(building, path, status, above);
  refuseEncrypted(path, status);
  const newBytes = isUntouched(building, status, before) ? 0n : status.size;
  yield { newBytes, make: () => renewed(building, place, status, before) };
  if (status.type !== 'directory') return;
  for await (const child of hdfs.list(read(path), signal)) {
    const below = { path: join(path, child.name), oldPath: join(before.path, child.name), above: status };
    yield* build(building, below, child);
  }
}

/** By its file id: under the name that it had then. */
function oldOf({ old, changes }: Building, { oldPath }: Place, { fileId }: FileStatus): OldEntry | undefined {
  const found = old.get(changes.oldPath(fileId) ?? oldPath);
  return found?.attributes.fileId === String(fileId) ? found : undefined;
}

function isUntouched({ changes }: Building, { fileId, size, modifiedMs }: FileStatus, before: OldEntry): boolean {
  return size === before.size && modifiedMs === before.attributes.modifiedMs && !changes.isModified(fileId);
}

/** It was there before, and is looked at anew. */
async function renewed(building: Building, { path, above }: Place, status: FileStatus, before: OldEntry): Promise<PointEntry> {
  const { attributes, changes, read, signal } = building;
  const isModified = changes.isModified(status.fileId);
  const asked = isModified ? await attributes.ask(read(path), status, signal) : askedBefore(before.attributes);
  const entry = entryOf(path, status, attributes.combine(status, above, asked), read);
  if (entry.content === undefined) {
    return { ...entry, inTar: isModified || status.modifiedMs !== before.attributes.modifiedMs };
  }
  const same = before.content !== undefined && (await hasSameContent(building, path, status, before));
  return same ? { ...entry, content: before.content, inTar: false } : entry;
}

function askedBefore({ acl, xattrs, quota }: EntryAttributes): AskedAttributes {
  return {
    ...(acl !== undefined && { acl }),
    ...(xattrs !== undefined && { xattrs }),
    ...(quota !== undefined && { quota }),
  };
}

/**
 * Of one that is told to be modified, equal size and time are not enough: a file can be cut, written to and given its old time again. So
 * HDFS's own checksums of both snapshots are compared.
 */
async function hasSameContent(building: Building, path: string, status: FileStatus, before: OldEntry): Promise<boolean> {
  if (isUntouched(building, status, before)) return true;
  if (status.size !== before.size || status.modifiedMs !== before.attributes.modifiedMs) return false;
  const { hdfs, read, readOld, signal } = building;
  const [now, then] = await Promise.all([hdfs.checksum(read(path), signal), hdfs.checksum(readOld(before.path), signal)]);
  return now === then;
}
