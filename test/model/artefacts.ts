/** What lies in the vaults, looked at without the product's own reading: hashes, and tar within zstd as any tool has it. */
import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { Parser } from 'tar';
import { backupFileKeys } from '#common/names.ts';
import type { StoredName } from '#common/manifest.ts';
import type { BackupSet } from '../../controller/model.ts';
import type { Catalogue } from './catalogue.ts';
import { openRuns } from './catalogue.ts';
import type { VaultDisk } from './memory-vault.ts';

export type Disks = ReadonlyMap<string, VaultDisk>;

const hashes = new WeakMap<Buffer, string>();

function hashOf(bytes: Buffer): string {
  const known = hashes.get(bytes) ?? createHash('sha256').update(bytes).digest('hex');
  hashes.set(bytes, known);
  return known;
}

/** Each file of the set, on each node that the catalogue names for it, must be there byte for byte. */
export function damageOf(set: BackupSet, disks: Disks): string[] {
  return set.files.flatMap(({ file, nodes }) =>
    nodes.flatMap((node) =>
      [file.manifest, file.archive, file.index].flatMap(({ key, size, sha256 }: StoredName) => {
        const bytes = disks.get(node)?.files.get(key);
        if (bytes === undefined) return [`${key} of the set ${set.id} is not in the vault of ${node}`];
        const same = BigInt(bytes.length) === size && hashOf(bytes) === sha256;
        return same ? [] : [`${key} of the set ${set.id} in the vault of ${node} is not what was stored`];
      }),
    ),
  );
}

/** The content of the one file that an archive of a history holds. */
export function contentOf(archive: Buffer): string {
  const parts: Buffer[] = [];
  const parser = new Parser({ strict: true });
  parser.on('entry', (entry: NodeJS.ReadableStream & { path: string }) => {
    entry.on('data', (part: Buffer) => parts.push(part));
    entry.resume();
  });
  parser.end(zstdDecompressSync(archive));
  return Buffer.concat(parts).toString();
}

/** Files that neither a listed set, nor a run under way, nor something to be cleared accounts for. */
export function unaccounted({ sets, runs, leftovers }: Catalogue, disks: Disks): string[] {
  const listed = new Set([...sets.values()].flatMap((set) => keysOf(set)));
  const open = openRuns({ runs } as Catalogue)
    .filter(({ kind, startedMs }) => kind === 'backup' && startedMs !== undefined)
    .flatMap((run) =>
      run.sources.map(
        ({ source }) =>
          backupFileKeys({
            task: run.task,
            taskCreatedMs: run.startedFrom?.createdMs ?? 0,
            source,
            runStartedMs: run.startedMs ?? 0,
            version: run.productVersion,
          }).prefix,
      ),
    );
  return [...disks.values()].flatMap(({ node, files }) => {
    const toClear = [...leftovers.values()].filter(({ nodes }) => nodes.includes(node)).map(({ prefix }) => prefix);
    const accounted = (key: string) => listed.has(key) || [...open, ...toClear].some((prefix) => key.startsWith(prefix));
    return [...files.keys()].filter((key) => !accounted(key)).map((key) => `${key} in the vault of ${node} belongs to nothing`);
  });
}

/** Of a set that is forgotten: what of it lies in a vault that has nothing to clear. */
export function remainsOf(set: BackupSet, { leftovers }: Catalogue, disks: Disks): string[] {
  return [...disks.values()].flatMap(({ node, files }) =>
    keysOf(set).filter(
      (key) =>
        files.has(key) && ![...leftovers.values()].some(({ nodes, prefix }) => nodes.includes(node) && key.startsWith(prefix)),
    ),
  );
}

/** Manifests, archives and indexes. */
export function keysOf({ files }: BackupSet): string[] {
  return files.flatMap(({ file }) => [file.manifest.key, file.archive.key, file.index.key]);
}

/** What the catalogue says lies in the vault of a node. */
export function keysOn({ files, deleting }: BackupSet, node: string): string[] {
  const unlisted = deleting?.unlisted.includes(node) === true;
  return files
    .filter(({ nodes }) => nodes.includes(node))
    .flatMap(({ file }) => [...(unlisted ? [] : [file.manifest.key]), file.archive.key, file.index.key]);
}
