/** Brings a vault back in step: copies the files it lacks from the other one, each checked on its way, manifests last. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Transform, pipeline } from 'node:stream';
import { AppError } from '#common/errors.ts';
import type { StoredName } from '#common/manifest.ts';
import type { Target } from '../targets/target.ts';
import type { MirrorWork, Outcome } from './job.ts';
import type { RunIo } from './run-io.ts';

export async function runMirror(work: MirrorWork, io: RunIo): Promise<Outcome> {
  await using from = await io.openVault(work.from);
  await using to = await io.openVault(work.to);
  const parts = work.files.flatMap((file) => [file.archive, file.index, file.manifest]);
  const total = parts.reduce((sum, part) => sum + part.size, 0n);
  let copiedBytes = 0n;
  for (const part of parts) {
    const bytes = checked(await from.get(part.key, io.signal), part, from, (n) => {
      copiedBytes += n;
      io.progress('mirror', copiedBytes, total);
    });
    await to.put(part.key, bytes, io.signal);
  }
  return { kind: 'mirror', copiedBytes };
}

/** Fails at its end, before the other vault has taken it for whole: a damaged copy must never replace a good one there. */
function checked(bytes: Readable, part: StoredName, from: Target, onBytes: (n: bigint) => void): Readable {
  const hash = createHash('sha256');
  let size = 0n;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += BigInt(chunk.length);
      onBytes(BigInt(chunk.length));
      done(null, chunk);
    },
    flush(done) {
      if (size === part.size && hash.digest('hex') === part.sha256) return done();
      done(
        new AppError('DAMAGED', `copy ${part.key} from ${from.name}: it is not what was written there at the backup`, {
          hint: 'Run `holdfast set verify` to see what else is damaged, and back up again.',
        }),
      );
    },
  });
  // `check` carries the error to whoever reads it.
  return pipeline(bytes, check, () => undefined);
}
