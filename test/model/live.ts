/** One history, from a new world to its rest. */
import type { Action, Step } from './actions.ts';
import type { Certificates } from './certificates.ts';
import { perform } from './perform.ts';
import { rest, standing } from './rest.ts';
import { createWorld } from './world.ts';

/** So that there is something to begin with. */
const PRELUDE: readonly Action[] = [
  { kind: 'create', task: 0, shape: { sources: ['OMS'], copies: 2, periodMinutes: 0 } },
  { kind: 'create', task: 1, shape: { sources: ['OMS', 'LdapServer'], copies: 1, periodMinutes: 5 } },
  { kind: 'create', task: 2, shape: { sources: ['LdapServer'], copies: 2, periodMinutes: 3 } },
  { kind: 'run', task: 1 },
];

/** @throws Error that names each broken rule. */
export async function live(steps: readonly Step[], certificates: Certificates, tally: Map<string, number>): Promise<void> {
  await using world = await createWorld(certificates);
  const hold = () => {
    const [first, ...others] = standing(world);
    if (first !== undefined) throw new Error([first, ...others].join('\n'));
  };
  for (const action of PRELUDE) await perform(action, world);
  for (const { action, thenMs } of steps) {
    await perform(action, world);
    hold();
    await world.pass(thenMs);
    hold();
    count(tally, action.kind);
  }
  await rest(world);
  hold();
  for (const [end, times] of world.model.ends) count(tally, end, times);
}

function count(tally: Map<string, number>, what: string, by = 1): void {
  tally.set(what, (tally.get(what) ?? 0) + by);
}
