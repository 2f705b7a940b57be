/** Brings a vault back in step: copies the files it lacks from the other one, each checked, manifests last. */
import { AppError } from '#common/errors.ts';
import type { MirrorWork, Outcome } from './job.ts';
import type { RunIo } from './run-io.ts';

export async function runMirror(work: MirrorWork, io: RunIo): Promise<Outcome> {
  await using from = await io.openVault(work.from);
  await using to = await io.openVault(work.to);
  const parts = work.files.flatMap((file) => [file.archive, file.index, file.manifest]);
  let copiedBytes = 0n;
  for (const part of parts) {
    const stored = await to.put(part.key, await from.get(part.key, io.signal), io.signal);
    if (stored.size !== part.size || stored.sha256 !== part.sha256) {
      await to.delete(part.key, io.signal);
      throw new AppError('DAMAGED', `copy ${part.key} from ${from.name}: it is not what was written there at the backup`, {
        hint: 'Run `holdfast set verify` to see what else is damaged, and back up again.',
      });
    }
    copiedBytes += part.size;
    io.progress('mirror', copiedBytes, undefined);
  }
  return { kind: 'mirror', copiedBytes };
}
