/** The backup of one source: its story is runBackup, top to bottom. */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { formatSize } from '#common/bytes.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { MANIFEST_FORMAT, encodeManifest } from '#common/manifest.ts';
import type { Manifest, StoredName } from '#common/manifest.ts';
import { backupFileKeys } from '#common/names.ts';
import type { BackupFileKeys } from '#common/names.ts';
import type { ArchiveSummary } from '../archive/archive.ts';
import { packArchive } from '../archive/pack.ts';
import type { BackupContent } from '../sources/source.ts';
import type { BackupFile, BackupWork, Job, Outcome } from './job.ts';
import { removeIncomplete } from './incomplete.ts';
import { sourceIo } from './run-io.ts';
import type { RunIo } from './run-io.ts';
import { openVaultPair } from './vault-pair.ts';
import type { VaultPair } from './vault-pair.ts';

export async function runBackup(job: Job, work: BackupWork, io: RunIo): Promise<Outcome> {
  const keys = backupFileKeys({ ...work, version: work.productVersion });
  await using vaults = await openVaultPair(work.vaults, io);
  await vaults.clear(keys.prefix, io.signal);
  try {
    const spool = join(io.workDirectory, 'spool');
    await mkdir(spool, { mode: 0o700 });
    await using source = await io.source(work.source).prepareBackup(work.request, sourceIo(io, spool));
    const estimate = await source.estimate();
    await requireSpace(vaults, work, estimate, io);

    io.log('info', `backing up ${work.source}, at most ${formatSize(estimate)}`);
    const content = await source.backup();
    const stored = await storeArchive(content, keys, vaults, io);
    const file = await commit(job, work, content, stored, keys, vaults, io);
    io.log('info', `${work.source} is stored as ${keys.archive}, ${formatSize(file.archive.size)}`);
    return { kind: 'backup', file, vaults: vaults.results() };
  } catch (error) {
    const failure = toAppError(error, `back up ${work.source}`);
    const left = await removeIncomplete(vaults, keys.prefix, io);
    if (left === undefined) throw failure;
    throw new AppError(failure.code, `${failure.message}; and ${left}`, { cause: failure, hint: failure.hint });
  }
}

/** Rule: the LocalBackup partition of the active management node must have more than 20 GB (a setting) free, or nothing starts. */
async function requireSpace(vaults: VaultPair, work: BackupWork, estimate: bigint, io: RunIo): Promise<void> {
  const { freeBytes } = await vaults.activeSpace(io.signal);
  if (freeBytes <= work.minimumFreeBytes) {
    throw new AppError(
      'NO_SPACE',
      `back up ${work.source}: ${vaults.activeName} has ${formatSize(freeBytes)} free, and more than ${formatSize(work.minimumFreeBytes)} are required`,
    );
  }
  if (freeBytes < estimate) {
    // No refusal: the estimate is from before compression, and the vault holds its limits while writing.
    io.log(
      'warn',
      `${vaults.activeName} has ${formatSize(freeBytes)} free, less than ${work.source} may need before compression (${formatSize(estimate)})`,
    );
  }
}

interface StoredArchive {
  readonly archive: StoredName;
  readonly index: StoredName;
  readonly summary: ArchiveSummary;
}

async function storeArchive(content: BackupContent, keys: BackupFileKeys, vaults: VaultPair, io: RunIo): Promise<StoredArchive> {
  const packing = packArchive(content.roots, {
    workDirectory: io.workDirectory,
    level: io.compressionLevel,
    onProgress: (bytes) => io.progress('store', bytes, undefined),
    signal: io.signal,
  });
  // Settled, not raced: a vault that fails stops the packer, and its own reason is the one to report.
  const [stored, packed, indexed] = await Promise.allSettled([
    vaults.put(keys.archive, packing.stream, io.signal, packing.summary),
    packing.summary,
    packing.index,
  ]);
  const [archive, summary, indexPath] = [valueOf(stored), valueOf(packed), valueOf(indexed)];
  for (const warning of summary.warnings) io.log('warn', warning);
  const index = await vaults.put(keys.index, createReadStream(indexPath), io.signal);
  return { archive, index, summary };
}

/** @throws what it failed with. */
function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** Manifest last: the backup file exists from here on. */
async function commit(
  job: Job,
  work: BackupWork,
  content: BackupContent,
  stored: StoredArchive,
  keys: BackupFileKeys,
  vaults: VaultPair,
  io: RunIo,
): Promise<BackupFile> {
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    productVersion: work.productVersion,
    task: { name: work.task, createdMs: work.taskCreatedMs },
    run: { id: job.runId, attempt: job.attempt, startedMs: work.runStartedMs },
    set: { id: work.setId, sources: [...work.setSources] },
    source: work.source,
    node: io.node,
    topology: [...work.topology],
    archive: stored.archive,
    index: stored.index,
    entries: stored.summary.entries,
    contentBytes: stored.summary.contentBytes,
    facts: content.facts,
  };
  const written = await vaults.put(keys.manifest, Readable.from([encodeManifest(manifest)]), io.signal);
  return {
    source: work.source,
    manifest: written,
    archive: stored.archive,
    index: stored.index,
    entries: manifest.entries,
    contentBytes: manifest.contentBytes,
  };
}
