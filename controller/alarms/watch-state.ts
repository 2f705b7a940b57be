/** Alarms about how things stand, looked at again and again: raised while it is so, cleared when it is not. */
import { ALARMS } from '#rules/alarms.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { managementNodes } from '../engine/engine-io.ts';
import { lackingNodes } from '../engine/set-state.ts';
import { clear, raise } from './alarms.ts';

/** 12011: a set lacks files on a management node. */
export async function watchStandby(change: Change, io: EngineIo): Promise<void> {
  const sets = await change.lackingSets(managementNodes(io.config));
  const up = (await change.openAlarms()).filter(({ id }) => id === ALARMS.standby.id).map(({ subject }) => subject);
  for (const node of managementNodes(io.config)) {
    const lacking = sets.filter((set) => lackingNodes(set, io.config).includes(node)).map(({ id }) => id);
    if (lacking.length === 0) continue;
    const which = lacking.slice(0, 5).join(', ') + (lacking.length > 5 ? ', …' : '');
    await raise(change, io, ALARMS.standby.id, node, `the vault of ${node} lacks files of ${lacking.length} set(s): ${which}`);
  }
  for (const node of up) {
    const lacks = managementNodes(io.config).includes(node) && sets.some((set) => lackingNodes(set, io.config).includes(node));
    if (!lacks) await clear(change, io, ALARMS.standby.id, node);
  }
}

/** 12057: no periodic task writes to another place than the management nodes. LocalDir is the only target there is yet. */
export async function watchThirdParty(change: Change, io: EngineIo): Promise<void> {
  const detail = 'every task writes to the management nodes only: their loss takes the backups with it';
  await raise(change, io, ALARMS.noThirdParty.id, 'metadata', detail);
}
