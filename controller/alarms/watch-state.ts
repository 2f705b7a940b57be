/** Alarms about how things stand, looked at again and again: raised while it is so, cleared when it is not. */
import { ALARMS } from '#rules/alarms.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { managementNodes } from '../engine/engine-io.ts';
import { clear, raise } from './alarms.ts';

/** So many sets are named in the alarm. */
const NAMED = 5;

/** 12011: a management node lacks files of a set. */
export async function watchStandby(io: EngineIo): Promise<void> {
  await io.change(async (change) => {
    const nodes = managementNodes(io.config);
    for (const node of nodes) {
      const lacking = (await change.setsLacking(node, NAMED + 1)).map(({ id }) => id);
      if (lacking.length === 0) await clear(change, io, ALARMS.standby.id, node);
      else {
        const which = lacking.slice(0, NAMED).join(', ') + (lacking.length > NAMED ? ', …' : '');
        await raise(change, io, ALARMS.standby.id, node, `the vault of ${node} lacks files of ${which}`);
      }
    }
    // A node that was a management node before the configuration was changed.
    for (const { id, subject } of await change.openAlarms()) {
      if (id === ALARMS.standby.id && !nodes.includes(subject)) await clear(change, io, id, subject);
    }
  });
}

/** 12057: no periodic task writes to another place than the management nodes. LocalDir is the only target there is yet. */
export async function watchThirdParty(change: Change, io: EngineIo): Promise<void> {
  const detail = 'every task writes to the management nodes only: their loss takes the backups with it';
  await raise(change, io, ALARMS.noThirdParty.id, 'metadata', detail);
}
