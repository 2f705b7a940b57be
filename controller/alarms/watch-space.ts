/** 12062: a vault that is filling up is told of before it takes nothing more. Foreseen from samples that outlive the controller. */
import { ALARMS } from '#rules/alarms.ts';
import { spaceRunningOut, vaultFullAt } from '#rules/conditions.ts';
import type { Condition, VaultRoom, VaultSample } from '#rules/conditions.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { managementNodes } from '../engine/engine-io.ts';
import { settle } from './alarms.ts';

const SAMPLES_KEPT_MS = 30 * 24 * 3_600_000;
/** As many as an hour each gives in that time, and then some. */
const LOOK_AT = 1000;

export async function watchSpace(change: Change, io: EngineIo): Promise<void> {
  const now = io.clock.now();
  const clockIsTrusted = (await io.clockWatch.doubt(change)) === undefined;
  const up = (await change.openAlarms()).filter(({ id }) => id === ALARMS.spaceRunningOut.id);
  const conditions: (readonly [string, Condition])[] = [];
  for (const node of managementNodes(io.config)) {
    const room = roomOf(io, node);
    if (room === undefined) {
      // Nothing new is known of a vault that is away: what is up stays up.
      conditions.push([node, up.find(({ subject }) => subject === node)?.detail]);
      continue;
    }
    const samples = (await change.spaceSamples(node, LOOK_AT)).filter(({ timeMs }) => timeMs <= now);
    if (clockIsTrusted && isDue(samples, io)) await sample(change, node, room, now);
    conditions.push([node, spaceRunningOut(vaultFullAt(samples, room, now), now, io.config.watch.spaceWithin)]);
  }
  await settle(change, io, ALARMS.spaceRunningOut.id, conditions);
}

function isDue(samples: readonly VaultSample[], io: EngineIo): boolean {
  const last = samples.at(-1);
  return last === undefined || io.clock.now() - last.timeMs >= io.config.watch.sampleEvery;
}

async function sample(change: Change, node: string, { freeBytes, usedBytes }: VaultRoom, timeMs: number): Promise<void> {
  await change.putSpaceSample({ node, timeMs, freeBytes, usedBytes });
  await change.forgetSpaceSamples(timeMs - SAMPLES_KEPT_MS);
}

/** The limits are the vault's own; an older agent does not tell them. On the active one backups also need what the controller asks. */
function roomOf(io: EngineIo, node: string): VaultRoom | undefined {
  const facts = io.sessions.factsOf(node);
  const space = facts?.connected === true ? facts.vault?.space : undefined;
  if (space === undefined) return undefined;
  const own = space.minimumFreeBytes ?? 0n;
  const asked = io.config.minimumFree;
  const counts = node === io.config.managementNodes.active || space.minimumFreeBytes === undefined;
  return {
    freeBytes: space.freeBytes,
    usedBytes: space.usedByBackupsBytes,
    minimumFreeBytes: counts && asked > own ? asked : own,
    capBytes: space.capBytes,
  };
}
