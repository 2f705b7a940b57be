/** Who may confirm a clock that has jumped: nobody by the very same clock. */
import { expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../controller/rules/limits.ts';
import { createClockWatch } from '../../controller/engine/clock-watch.ts';
import { strangerOf } from '../../controller/sessions/agent-facts.ts';
import type { AgentFacts } from '../../controller/sessions/agent-facts.ts';
import { movableClock } from './cluster.ts';
import { hostFacts, vaultFacts } from './fake-agent.ts';

const HOUR = 3_600_000;
const nothing = { listRuns: () => empty, listSets: () => empty };
const empty = Promise.resolve({ items: [], next: '' });

/** A controller on the machine "controller", and vaults on those that are given: what is heard of them, and the doubt. */
function watching(machines: Readonly<Record<string, string>>) {
  const clock = movableClock();
  const known = new Map<string, AgentFacts>();
  const sessions = { facts: () => [...known.values()], factsOf: (node: string) => known.get(node) };
  const watch = createClockWatch(clock, sessions, Object.keys(machines), DEFAULT_LIMITS);
  function hear(node: string): void {
    const host = { ...hostFacts(clock.now()), bootId: machines[node] ?? '' };
    const heard = { lastHeardHostMs: clock.now(), lastHeardHost: clock.monotonic() };
    known.set(node, { ...strangerOf(node), connected: true, vault: vaultFacts(node), host, ...heard });
  }
  function jump(): void {
    clock.set(48 * HOUR);
    watch.look();
    clock.advance(1000);
  }
  return { clock, hear, jump, doubt: () => watch.doubt(nothing) };
}

test('a jump is seen by whoever asks next, before any tick', async () => {
  const { clock, doubt } = watching({ mn1: 'one' });
  clock.set(48 * HOUR);
  expect(await doubt()).toMatch(/has jumped by 172800 s/);
});

test('a vault on another machine confirms it', async () => {
  const { hear, jump, doubt } = watching({ mn1: 'controller', mn2: 'two' });
  jump();
  hear('mn1');
  expect(await doubt()).toMatch(/no vault on another machine has confirmed it yet/);
  hear('mn2');
  expect(await doubt()).toBeUndefined();
});

test("one on the controller's own machine does not: that clock is trusted when it has kept pace for a day", async () => {
  const { clock, hear, jump, doubt } = watching({ mn1: 'controller' });
  jump();
  hear('mn1');
  expect(await doubt()).toMatch(/no vault is on another machine: it is trusted 86400 s after that/);
  clock.advance(23 * HOUR);
  hear('mn1');
  expect(await doubt()).toMatch(/it is trusted/);
  clock.advance(HOUR);
  hear('mn1');
  expect(await doubt()).toBeUndefined();
});

test('one that may be on another machine is waited for, however long it is away or does not tell', async () => {
  const { clock, hear, jump, doubt } = watching({ mn1: 'controller', mn2: '' });
  hear('mn1');
  jump();
  clock.advance(48 * HOUR);
  hear('mn1');
  expect(await doubt()).toMatch(/no vault on another machine has confirmed it yet/);
  hear('mn2');
  expect(await doubt()).toMatch(/no vault on another machine has confirmed it yet/);
});
