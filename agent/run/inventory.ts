/** What a vault holds, by its manifests alone: the catalogue can be rebuilt from it. A part at a time, for a message has an end. */
import { createHash } from 'node:crypto';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import { decodeManifest } from '#common/manifest.ts';
import type { StoredName } from '#common/manifest.ts';
import type { Target } from '../targets/target.ts';
import type { HeldManifest, InventoryWork, Outcome } from './job.ts';
import { readManifestBytes } from './read-file.ts';
import type { RunIo } from './run-io.ts';
import { isManifest } from './vault-pair.ts';

/** A message has at most 4 MiB; one manifest of 1 MiB may come on top of this, and a character of a name or a fault may take three bytes. */
const PART_BYTES = 512 * 1024;
/** Of a manifest, beside what is counted: its size, its digest, and what frames them. */
const ENTRY_BYTES = 128;

export async function runInventory(work: InventoryWork, io: RunIo): Promise<Outcome> {
  await using vault = await io.openVault(work.vault);
  const sizes = new Map((await vault.list('', io.signal)).map(({ key, size }) => [key, size]));
  const manifests: HeldManifest[] = [];
  let bytes = 0;
  for (const key of [...sizes.keys()].filter((each) => isManifest(each) && each > work.after).toSorted()) {
    if (bytes > PART_BYTES) return { kind: 'inventory', manifests, next: manifests.at(-1)?.file.key ?? '' };
    const held = await readHeld(vault, key, sizes, io.signal);
    bytes += ENTRY_BYTES + key.length + held.fault.length + held.content.length;
    manifests.push(held);
  }
  return { kind: 'inventory', manifests, next: '' };
}

async function readHeld(
  vault: Target,
  key: string,
  sizes: ReadonlyMap<string, bigint>,
  signal: AbortSignal,
): Promise<HeldManifest> {
  const size = sizes.get(key) ?? 0n;
  try {
    const content = await readManifestBytes(vault, key, signal);
    const { archive, index } = decodeManifest(content, key);
    const missing = [archive, index].filter((part) => sizes.get(part.key) !== part.size);
    if (missing.length > 0)
      throw new AppError(
        'DAMAGED',
        `the manifest ${key} names what is not there whole: ${missing.map((part) => part.key).join(', ')}`,
      );
    const file: StoredName = { key, size: BigInt(content.length), sha256: createHash('sha256').update(content).digest('hex') };
    return { file, content, fault: '' };
  } catch (error) {
    signal.throwIfAborted();
    const failure = toAppError(error, `read ${key}`);
    // A connection that broke off says nothing of the file: then there is no inventory at all.
    if (failure.code === 'UNAVAILABLE' || failure.code === 'TIMEOUT') throw failure;
    return { file: { key, size, sha256: '' }, content: Buffer.alloc(0), fault: toFault(failure).message };
  }
}
