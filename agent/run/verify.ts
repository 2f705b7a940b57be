/** Verified means: every byte of every file was read back from the vault and hashed. */
import type { Outcome, VerifyWork } from './job.ts';
import { findDamage } from './read-file.ts';
import type { RunIo } from './run-io.ts';

export async function runVerify(work: VerifyWork, io: RunIo): Promise<Outcome> {
  await using vault = await io.openVault(work.vault);
  const parts = work.files.flatMap((file) => [file.manifest, file.archive, file.index]);
  const total = parts.reduce((sum, part) => sum + part.size, 0n);
  const faults: string[] = [];
  let readBytes = 0n;
  for (const part of parts) {
    const damage = await findDamage(vault, part, io.signal, (n) => {
      readBytes += BigInt(n);
      io.progress('verify', readBytes, total);
    });
    if (damage !== undefined) {
      io.log('error', damage);
      faults.push(damage);
    }
  }
  return { kind: 'verify', faults, readBytes };
}
