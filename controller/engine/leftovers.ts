/** What may lie in vaults without belonging to a set: it is cleared there under a newer attempt, which fences the old one. */
import { nodesWithCopy } from '../model.ts';
import type { BackupSet, Leftover, Run, SourceRun } from '../model.ts';
import { prefixOfShare } from './assign.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { managementNodes } from './engine-io.ts';
import { prefixOf } from './grants.ts';
import { lackingNodes } from './set-state.ts';

/** Of a share that did not succeed. Its agent clears up after itself; this also holds when it could not, or is away. */
export async function leaveShareToClear(change: Change, io: EngineIo, run: Run, share: SourceRun): Promise<void> {
  const nodes = managementNodes(io.config);
  await change.putLeftover({ runId: run.id, attempt: share.attempt + 1, prefix: prefixOfShare(run, share), nodes });
  change.after(() => io.hint());
}

/** In those of its vaults only. */
export async function leaveToClear(change: Change, { runId, prefix }: Leftover, stays: (node: string) => boolean): Promise<void> {
  const now = (await change.leftoversOf(runId)).find((each) => each.prefix === prefix);
  if (now === undefined) return;
  const nodes = now.nodes.filter(stays);
  if (nodes.length > 0) return change.putLeftover({ ...now, nodes });
  await change.deleteLeftover(now);
}

/** The set goes: its manifests at the next look, so that nobody restores it any more, its bytes after the grace period; and also those that may hold parts of a copy that was cut off. */
export async function markForDeletion(change: Change, io: EngineIo, set: BackupSet): Promise<BackupSet> {
  // Of a damaged copy the bytes are there to be deleted, too.
  const files = set.files.map((held) => ({ file: held.file, nodes: nodesWithCopy(held) }));
  const going: BackupSet = { ...set, files, deleting: { sinceMs: io.clock.now(), unlisted: [] } };
  await change.putSet(going);
  const nodes = lackingNodes(going, io.config);
  if (nodes.length > 0) {
    const run = await change.run(set.runId);
    for (const { file } of set.files) {
      const attempt = run?.sources.find(({ source }) => source === file.source)?.attempt ?? 1;
      const prefix = prefixOf(file.manifest.key);
      await change.putLeftover({ runId: set.runId, attempt: attempt + 1, prefix, nodes });
    }
  }
  change.after(() => io.hint());
  return going;
}
