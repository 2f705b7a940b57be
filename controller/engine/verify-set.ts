/** Verified: every byte was read back from each vault that should hold it, and hashed. */
import { AppError } from '#common/errors.ts';
import { nodesWithCopy, withCopy, withoutCopy } from '../model.ts';
import type { BackupSet } from '../model.ts';
import { vaultAccess } from './assign.ts';
import type { EngineIo } from './engine-io.ts';
import { newId } from './engine-io.ts';
import { prefixOf } from './grants.ts';
import { fileMessage } from './messages.ts';

export interface Verification {
  readonly faults: string[];
  readonly copies: readonly VerifiedCopy[];
  readonly readBytes: bigint;
  readonly verifiedMs: number;
}

/** Of one backup file in one vault. */
interface VerifiedCopy {
  readonly manifestKey: string;
  readonly node: string;
  /** Empty: every byte is as it was written. */
  readonly damage: string;
}

interface VaultAnswer extends Pick<Verification, 'faults' | 'copies' | 'readBytes'> {}

/**
 * Copies known to be damaged are read too: somebody may have put them right.
 * @throws AppError NOT_FOUND; REFUSED for a set that goes; UNAVAILABLE when a vault that holds it is not connected.
 */
export async function verifySet(io: EngineIo, id: string): Promise<Verification> {
  // Held before it is looked at: from then on nothing marks it for deletion.
  using _reading = io.reading.hold(id);
  const set = await io.store.set(id);
  if (set === undefined) throw new AppError('NOT_FOUND', `there is no backup file set ${JSON.stringify(id)}`);
  if (set.deleting) throw new AppError('REFUSED', `the set ${set.id} is being deleted`);
  const nodes = [...new Set(set.files.flatMap(nodesWithCopy))];
  const answers = await Promise.all(nodes.map((node) => verifyOn(io, set, node)));
  return {
    faults: answers.flatMap(({ faults }) => faults),
    copies: answers.flatMap(({ copies }) => copies),
    readBytes: answers.reduce((sum, { readBytes }) => sum + readBytes, 0n),
    verifiedMs: io.clock.now(),
  };
}

/**
 * What was found counts from now on: a damaged copy is held by nobody, so the set is not whole there, a good copy is mirrored over it, and
 * alarm 12011 is up until then.
 */
export function withVerification(set: BackupSet, { faults, copies, verifiedMs }: Verification): BackupSet {
  // What goes goes from every vault that has a copy, whatever it is worth.
  if (set.deleting !== undefined) return set;
  const files = set.files.map((held) =>
    copies
      .filter(({ manifestKey }) => manifestKey === held.file.manifest.key)
      .reduce((now, { node, damage }) => (damage === '' ? withCopy(now, node) : withoutCopy(now, { node, fault: damage })), held),
  );
  return { ...set, files, verifiedMs: faults.length === 0 ? verifiedMs : undefined };
}

async function verifyOn(io: EngineIo, set: BackupSet, node: string): Promise<VaultAnswer> {
  const files = set.files.filter((held) => nodesWithCopy(held).includes(node)).map(({ file }) => file);
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
  const { faults, readBytes, damage } = outcome.value;
  // An older agent does not tell what its faults are of: then nothing is known of any copy there.
  const told = faults.length === 0 || damage.length > 0 ? files : [];
  return {
    faults: faults.map((fault) => `${node}: ${fault}`),
    readBytes,
    copies: told.map(({ manifest: { key } }) => {
      const found = damage.filter(({ manifestKey }) => manifestKey === key);
      return { manifestKey: key, node, damage: found.map(({ fault }) => fault).join('; ') };
    }),
  };
}
