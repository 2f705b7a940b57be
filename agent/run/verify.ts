/** Verified means: every byte of every file was read back from the vault and hashed. */
import type { Damage, Outcome, VerifyWork } from './job.ts';
import { findDamage } from './read-file.ts';
import type { RunIo } from './run-io.ts';

export async function runVerify(work: VerifyWork, io: RunIo): Promise<Outcome> {
  await using vault = await io.openVault(work.vault);
  const parts = work.files.flatMap((file) => [file.manifest, file.archive, file.index].map((part) => ({ file, part })));
  const total = parts.reduce((sum, { part }) => sum + part.size, 0n);
  const damage: Damage[] = [];
  let readBytes = 0n;
  for (const { file, part } of parts) {
    const fault = await findDamage(vault, part, io.signal, (n) => {
      readBytes += BigInt(n);
      io.progress('verify', readBytes, total);
    });
    if (fault !== undefined) {
      io.log('error', fault);
      damage.push({ file, fault });
    }
  }
  return { kind: 'verify', damage, readBytes };
}
