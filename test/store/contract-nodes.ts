import { describe, expect, it } from 'vitest';
import type { NewHome } from './home.ts';
import { HUGE, agentOf } from './samples.ts';

export function nodesContract(home: NewHome): void {
  describe('nodes', () => {
    it('are remembered as they were last, by name, until they are forgotten', async () => {
      await using place = await home();
      const first = await place.open();
      await first.transaction(async (view) => {
        for (const node of ['mn2', 'dn1', 'B']) await view.putAgent(agentOf(node));
        await view.putAgent(agentOf('dn1', { certificateEndsMs: undefined, sources: [], lastSeenMs: 7 }));
      });
      await first.close();
      const store = await place.open();
      const dn1 = agentOf('dn1', { certificateEndsMs: undefined, sources: [], lastSeenMs: 7 });
      expect(await store.agents()).toEqual([agentOf('B'), dn1, agentOf('mn2')]);
      expect([await store.agent('dn1'), await store.agent('dn')]).toEqual([dn1, undefined]);
      await store.transaction(async (view) => {
        await view.deleteAgent('dn1');
        await view.deleteAgent('never heard of');
      });
      expect((await store.agents()).map(({ node }) => node)).toEqual(['B', 'mn2']);
    });

    it('keep samples of their vaults to the byte, the newest ones told oldest first, old ones forgotten', async () => {
      await using place = await home();
      const store = await place.open();
      const sample = (node: string, timeMs: number) => ({ node, timeMs, freeBytes: HUGE + BigInt(timeMs), usedBytes: HUGE });
      await store.transaction(async (view) => {
        for (const timeMs of [30, 10, 20, 20]) await view.putSpaceSample(sample('mn1', timeMs));
        await view.putSpaceSample(sample('mn2', 5));
      });
      expect(await store.spaceSamples('mn1', 100)).toEqual([sample('mn1', 10), sample('mn1', 20), sample('mn1', 30)]);
      expect((await store.spaceSamples('mn1', 2)).map(({ timeMs }) => timeMs)).toEqual([20, 30]);
      await store.transaction((view) => view.forgetSpaceSamples(20));
      expect((await store.spaceSamples('mn1', 100)).map(({ timeMs }) => timeMs)).toEqual([20, 30]);
      expect(await store.spaceSamples('mn2', 100)).toEqual([]);
    });
  });
}
