/** A node that is gone for good is missed no more: it leaves the catalogue, and what is up of it is cleared. */
import { AppError } from '#common/errors.ts';
import { ALARMS } from '#rules/alarms.ts';
import { clear } from '../alarms/alarms.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { managementNodes } from '../engine/engine-io.ts';
import { runningShares } from '../engine/tell-agents.ts';
import { notFound } from './not-found.ts';

/** @throws AppError NOT_FOUND; REFUSED for one that is there, is needed, or has work. */
export async function forgetAgent(change: Change, io: EngineIo, node: string): Promise<void> {
  if (managementNodes(io.config).includes(node)) {
    throw new AppError(
      'REFUSED',
      `the agent of ${node} cannot be forgotten: the configuration has ${node} as a management node`,
      {
        hint: 'Name another management node in controller.yaml first.',
      },
    );
  }
  if (io.sessions.factsOf(node)?.connected === true) {
    throw new AppError('REFUSED', `the agent of ${node} cannot be forgotten: it is connected`, { hint: 'Stop it first.' });
  }
  const busy = (await change.openRuns()).flatMap(runningShares).find(({ share }) => share.node === node);
  if (busy !== undefined) {
    throw new AppError('REFUSED', `the agent of ${node} cannot be forgotten: it has a share in the run ${busy.run.id}`, {
      hint: `Wait until it is given up, after the lease, or stop the run: holdfast run stop ${busy.run.id}`,
    });
  }
  if ((await change.agent(node)) === undefined) {
    throw notFound('agent', `no agent of a node ${JSON.stringify(node)} was heard of`);
  }
  await change.deleteAgent(node);
  for (const { id } of [ALARMS.agentLost, ALARMS.certificateExpiring]) await clear(change, io, id, node);
  change.after(() => io.sessions.forget(node));
}
