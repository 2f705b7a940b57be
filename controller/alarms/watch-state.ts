/** Alarms about how things stand, looked at again and again: raised while it is so, cleared when it is not. */
import { ALARMS } from '#rules/alarms.ts';
import { certificateExpiring, neverRan, overdue, pausedTooLong } from '#rules/conditions.ts';
import type { Condition, WatchedTask } from '#rules/conditions.ts';
import { calendar } from '../engine/calendar.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { managementNodes } from '../engine/engine-io.ts';
import { isGood, isOf } from '../engine/retain.ts';
import type { BackupSet, Task } from '../model.ts';
import { settle } from './alarms.ts';

/** So many sets are named in the alarm. */
const NAMED = 5;

/** 12011: a management node lacks files of a set. */
export async function watchStandby(io: EngineIo): Promise<void> {
  await io.change(async (change) => {
    const conditions: (readonly [string, Condition])[] = [];
    for (const node of managementNodes(io.config)) {
      const { items, next } = await change.setsLacking([node], { size: NAMED, token: '' });
      const which = items.map(({ id }) => id).join(', ') + (next === '' ? '' : ', …');
      conditions.push([node, items.length === 0 ? undefined : `the vault of ${node} lacks files of ${which}`]);
    }
    await settle(change, io, ALARMS.standby.id, conditions);
  });
}

/** 12057: no periodic task writes to another place than the management nodes. LocalDir is the only target there is yet. */
export async function watchThirdParty(change: Change, io: EngineIo): Promise<void> {
  const detail = 'every task writes to the management nodes only: their loss takes the backups with it';
  await settle(change, io, ALARMS.noThirdParty.id, [['metadata', detail]]);
}

/** Tasks that have no good set, or an old one, or stand locked. */
export async function watchTasks(change: Change, io: EngineIo): Promise<void> {
  const now = io.clock.now();
  const tasks: (readonly [string, WatchedTask])[] = [];
  for (const task of await change.tasks()) tasks.push([task.name, watched(task, await change.setsOf(task.name))]);
  const each = (condition: (task: WatchedTask) => Condition) => tasks.map(([name, task]) => [name, condition(task)] as const);
  await settle(
    change,
    io,
    ALARMS.neverRan.id,
    each((task) => neverRan(task, now, calendar)),
  );
  await settle(
    change,
    io,
    ALARMS.overdue.id,
    each((task) => overdue(task, now, calendar)),
  );
  await settle(
    change,
    io,
    ALARMS.paused.id,
    each((task) => pausedTooLong(task, now, io.config.watch.pausedFor)),
  );
}

function watched(task: Task, sets: readonly BackupSet[]): WatchedTask {
  const good = sets.filter((set) => isOf(set, task) && isGood(set));
  return { ...task, newestGoodMs: good.length === 0 ? undefined : Math.max(...good.map(({ createdMs }) => createdMs)) };
}

/** Agents that are away for longer than the lease, once they were known or are needed. One that is lost stays so until it is back. */
export async function watchAgents(change: Change, io: EngineIo): Promise<void> {
  const { lease, watch } = io.config;
  const nodes = new Set([...managementNodes(io.config), ...io.sessions.facts().map(({ node }) => node)]);
  const up = new Set((await change.openAlarms()).filter(({ id }) => id === ALARMS.agentLost.id).map(({ subject }) => subject));
  const lost = [...nodes].map((node) => {
    const facts = io.sessions.factsOf(node);
    const awayMs = io.clock.monotonic() - Math.max(facts?.lastHeard ?? 0, io.listening.since);
    const isLost = facts?.connected !== true && (awayMs > lease || up.has(node));
    return [node, isLost ? `the agent of ${node} is not connected` : undefined] as const;
  });
  await settle(change, io, ALARMS.agentLost.id, lost);
  const ends = [
    ['controller', io.certificateEndsMs] as const,
    ...io.sessions
      .facts()
      .flatMap(({ node, certificateEndsMs }) => (certificateEndsMs === undefined ? [] : [[node, certificateEndsMs] as const])),
  ];
  const expiring = ends.map(
    ([subject, endsMs]) => [subject, certificateExpiring(endsMs, io.clock.now(), watch.certificateWithin)] as const,
  );
  await settle(change, io, ALARMS.certificateExpiring.id, expiring);
}

export async function watchClock(change: Change, io: EngineIo): Promise<void> {
  await settle(change, io, ALARMS.clockInDoubt.id, [['controller', await io.clockWatch.doubt(change)]]);
}
