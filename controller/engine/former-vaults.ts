/**
 * Vaults of nodes that are no management node any more. What goes is deleted there as long as their agent is there, and is not waited for: what
 * such a vault still holds is not claimed to be deleted, and nobody deletes it later (docs/decisions/0027).
 */
import { ALARMS } from '#rules/alarms.ts';
import { clear } from '../alarms/alarms.ts';
import type { BackupSet, Leftover } from '../model.ts';
import type { EngineIo } from './engine-io.ts';
import { agentsMayStillCome, managementNodes, note } from './engine-io.ts';
import { leaveToClear } from './leftovers.ts';

export function isAwaited(io: EngineIo, node: string): boolean {
  if (managementNodes(io.config).includes(node) || agentsMayStillCome(io)) return true;
  const facts = io.sessions.factsOf(node);
  return facts?.connected === true && facts.vault !== undefined;
}

/** Of a set that goes, and that no vault holds which is awaited. */
export async function forgetSet(io: EngineIo, { id, runId, task }: BackupSet, left: readonly string[]): Promise<void> {
  await io.change(async (change) => {
    await change.deleteSet(id);
    await clear(change, io, ALARMS.verificationFailed.id, id);
    const where = `the vault of ${left.join(', ')}, which is no management node any more`;
    await note(change, io, runId, '', 'warn', `the set ${id} is forgotten; it was not deleted from ${where}`);
    change.after(() => io.log.warn({ set: id, task, left }, 'set forgotten; a former management node may still hold it'));
  });
}

export async function forgetLeftover(io: EngineIo, leftover: Leftover): Promise<void> {
  await io.change((change) => leaveToClear(change, leftover, (node) => isAwaited(io, node)));
}
