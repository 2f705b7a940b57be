/** Deletes backup files from a vault. Repeatable: what is gone already is no error. */
import type { DeleteWork, Outcome } from './job.ts';
import type { RunIo } from './run-io.ts';
import { deleteBelow } from './vault-pair.ts';

export async function runDelete(work: DeleteWork, io: RunIo): Promise<Outcome> {
  await using vault = await io.openVault(work.vault);
  // All manifests before anything else: from the first deletion on, no part of the set may look whole.
  const keys = [
    ...work.files.map((file) => file.manifest.key),
    ...(work.manifestsOnly ? [] : work.files.flatMap((file) => [file.archive.key, file.index.key])),
  ];
  for (const key of keys) await vault.delete(key, io.signal);
  for (const prefix of work.incompletePrefixes) keys.push(...(await deleteBelow(vault, prefix, io.signal)));
  return { kind: 'delete', keys };
}
