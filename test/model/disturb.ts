/** What befalls a Holdfast from outside: deaths, cut cables, full disks, clocks that are set, services that fail. */
import { assertNever } from '#common/assert-never.ts';
import type { Action } from './actions.ts';
import { HEARTBEAT_MS } from './controller-node.ts';
import { COME_BACK_MS } from './world.ts';
import type { World } from './world.ts';

type Disturbance = Extract<
  Action,
  { kind: 'killController' | 'killControllerAt' | 'killAgent' | 'cable' | 'fill' | 'clock' | 'write' | 'fault' | 'pace' }
>;

/** Grants are good for a day: what runs while the clock goes further than this may be refused. */
const FAR_MINUTES = 180;

export async function disturb(action: Disturbance, world: World): Promise<void> {
  const { controller, troubles, clock, model, nodes, disks, services } = world;
  switch (action.kind) {
    case 'killController':
      controller.kill();
      return startAfter(world, action.downMs);
    case 'killControllerAt':
      controller.killAt(action.write, action.durable);
      return;
    case 'killAgent': {
      const node = nodes.get(action.node);
      if (node?.alive() !== true) return;
      const over = troubles.begin(action.node, 'the death');
      node.kill();
      world.meanwhile(async () => {
        await world.pass(action.downMs);
        await node.start();
        over(COME_BACK_MS);
      });
      return;
    }
    case 'cable': {
      const node = nodes.get(action.node);
      if (node?.cable() !== 'whole') return;
      const over = troubles.begin(action.node, `the ${action.state} cable`);
      node.setCable(action.state);
      world.meanwhile(async () => {
        await world.pass(action.forMs);
        node.setCable('whole');
        over(COME_BACK_MS);
      });
      return;
    }
    case 'fill': {
      const disk = disks.get(action.node);
      if (disk === undefined || disk.full) return;
      const over = troubles.begin(action.node, 'the full disk');
      disk.full = true;
      world.meanwhile(async () => {
        await world.pass(action.forMs);
        disk.full = false;
        over(2 * HEARTBEAT_MS);
      });
      return;
    }
    case 'clock': {
      const far = Math.abs(action.minutes) > FAR_MINUTES ? troubles.begin(undefined, 'the clock was set') : undefined;
      if (action.minutes < 0) model.clockWasSetBack(clock.now() + action.minutes * 60_000);
      clock.set(action.minutes * 60_000);
      far?.(500);
      return;
    }
    case 'write':
      return services.get(action.source)?.write();
    case 'fault':
      for (const point of action.points) services.get(action.source)?.plan(point);
      return;
    case 'pace':
      return services.get(action.source)?.pace(action.ms);
    default:
      return assertNever(action);
  }
}

/** A caller that cannot wait starts it sooner. */
function startAfter(world: World, downMs: number): void {
  world.meanwhile(async () => {
    await world.pass(downMs);
    await world.controller.start();
  });
}
