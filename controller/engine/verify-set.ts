/** Verified: every byte was read back from each vault that should hold it, and hashed. */
import { AppError } from '#common/errors.ts';
import type { BackupSet } from '../model.ts';
import { vaultAccess } from './assign.ts';
import type { EngineIo } from './engine-io.ts';
import { newId } from './engine-io.ts';
import { prefixOf } from './grants.ts';
import { fileMessage } from './messages.ts';

export interface Verification {
  readonly faults: string[];
  readonly readBytes: bigint;
  readonly verifiedMs: number;
}

/** @throws AppError NOT_FOUND; REFUSED for a set that goes; UNAVAILABLE when a vault that holds it is not connected. */
export async function verifySet(io: EngineIo, id: string): Promise<Verification> {
  // Held before it is looked at: from then on nothing marks it for deletion.
  using _reading = io.reading.hold(id);
  const set = await io.store.set(id);
  if (set === undefined) throw new AppError('NOT_FOUND', `there is no backup file set ${JSON.stringify(id)}`);
  if (set.deleting) throw new AppError('REFUSED', `the set ${set.id} is being deleted`);
  const nodes = [...new Set(set.files.flatMap((held) => held.nodes))];
  const answers = await Promise.all(nodes.map((node) => verifyOn(io, set, node)));
  return {
    faults: answers.flatMap(({ faults }) => faults),
    readBytes: answers.reduce((sum, { readBytes }) => sum + readBytes, 0n),
    verifiedMs: io.clock.now(),
  };
}

async function verifyOn(io: EngineIo, set: BackupSet, node: string): Promise<{ faults: string[]; readBytes: bigint }> {
  const files = set.files.filter((held) => held.nodes.includes(node)).map(({ file }) => file);
  const id = newId('c', io.clock.now());
  const prefixes = files.map(({ manifest }) => prefixOf(manifest.key));
  const [vault] = vaultAccess(io, node, { agent: node, run: id, attempt: 1, verbs: ['get', 'list'], prefixes });
  if (vault === undefined) {
    throw new AppError('UNAVAILABLE', `the set ${set.id} cannot be verified: the vault of ${node} is not connected`, {
      hint: `Start the agent of ${node}.`,
    });
  }
  const work = { $case: 'verify', value: { files: files.map(fileMessage), vault } } as const;
  const outcome = await io.errands.ask({ node, id, runId: id, attempt: 1, work });
  if (outcome.$case !== 'verify') throw new AppError('FAILED', `the agent of ${node} did not verify, but ${outcome.$case}`);
  return { faults: outcome.value.faults.map((fault) => `${node}: ${fault}`), readBytes: outcome.value.readBytes };
}
