/** Reads a backup file back from a vault, trusting nothing: digests are those of the catalogue. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { AppError } from '#common/errors.ts';
import { MANIFEST_MAX_BYTES, decodeManifest } from '#common/manifest.ts';
import type { Manifest, StoredName } from '#common/manifest.ts';
import type { Target } from '../targets/target.ts';
import type { BackupFile } from './job.ts';

/** @throws AppError DAMAGED when the manifest is not byte for byte the one that was recorded, or names other files. */
export async function readManifest(target: Target, file: BackupFile, signal: AbortSignal): Promise<Manifest> {
  const { key, sha256 } = file.manifest;
  const bytes = await readManifestBytes(target, key, signal);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new AppError('DAMAGED', `the manifest ${key} on ${target.name} is not the one that was written: its hash differs`);
  }
  const manifest = decodeManifest(bytes, key);
  if (manifest.source !== file.source || manifest.archive.key !== file.archive.key) {
    throw new AppError(
      'DAMAGED',
      `the manifest ${key} on ${target.name} is of ${manifest.archive.key}, not of ${file.archive.key}`,
    );
  }
  return manifest;
}

/** @throws AppError DAMAGED when it is too large to be a manifest. */
export async function readManifestBytes(target: Target, key: string, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of (await target.get(key, signal)) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MANIFEST_MAX_BYTES) throw new AppError('DAMAGED', `the manifest ${key} on ${target.name} is too large to be one`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Every byte is read and hashed. Returns what is wrong, or undefined. Errors of the connection are thrown, not returned. */
export async function findDamage(
  target: Target,
  stored: StoredName,
  signal: AbortSignal,
  onBytes: (n: number) => void,
): Promise<string | undefined> {
  const hash = createHash('sha256');
  let size = 0n;
  let bytes: Readable;
  try {
    bytes = await target.get(stored.key, signal);
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return `${stored.key} is missing on ${target.name}`;
    throw error;
  }
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += BigInt(chunk.length);
    onBytes(chunk.length);
  }
  if (size !== stored.size) return `${stored.key} on ${target.name} has ${size} bytes instead of ${stored.size}`;
  if (hash.digest('hex') !== stored.sha256) return `${stored.key} on ${target.name} was changed: its hash differs`;
  return undefined;
}
