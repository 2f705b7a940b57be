import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import { systemClock } from '#common/clock.ts';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { cleared, clusterOfEach, deletions, told, waits } from './cluster-of-each.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import type { StoreView } from '../../controller/store/store.ts';
import type { Leftover } from '../../controller/model.ts';
import { runOf, setOf } from '../store/samples.ts';
import { LDAP, OMS, refusalOf, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import { failure, success, vaultFacts } from './fake-agent.ts';

const { cluster, vault, node, task, backUp, sets, alarms, logOf } = clusterOfEach();

describe('the upkeep', () => {
  test('does not spin while a set cannot be copied, because the vault that holds it is away', async () => {
    let looks = 0;
    await using own = await startCluster({}, (store) => ({
      ...store,
      setsLacking: (nodes, page) => {
        looks += 1;
        return store.setsLacking(nodes, page);
      },
    }));
    const mn1 = await own.agent('mn1', { vault: vaultFacts('mn1') });
    await own.agent('dn1', { sources: ['OMS'] });
    await own.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
    await untilEnded(own.admin(), await runTask(own.admin(), 'nightly'));
    mn1.leave();
    await until(async () => expect((await own.admin().getAgent({ node: 'mn1' })).agent?.connected).toBe(false));
    await own.agent('mn2', { vault: vaultFacts('mn2') });
    const from = systemClock.monotonic();
    looks = 0;
    await until(() => expect(systemClock.monotonic() - from).toBeGreaterThan(1000));
    expect(looks).toBeLessThan(100);
  });

  test('copies what the standby lacks, a few sets at a time', async () => {
    await vault('mn1');
    await node();
    await task('nightly', { copies: 100 });
    for (let n = 0; n < 6; n++) await backUp('nightly');
    let open: Assign[] = [];
    const mn2 = await vault('mn2', {
      onAssign(assign) {
        open.push(assign);
        return undefined;
      },
    });
    await until(() => expect(open).toHaveLength(4));
    const first = open;
    open = [];
    for (const assign of first) mn2.finish(assign, success(assign));
    await until(() => expect(open).toHaveLength(2));
    for (const assign of open) mn2.finish(assign, success(assign));
    await until(async () => expect((await alarms()).map(({ id }) => id)).not.toContain(12011));
    expect(new Set(told(mn2, 'mirror').map(({ assignmentId }) => assignmentId)).size).toBe(6);
  });

  test('deletes no set while it is copied, and clears the standby of a copy that was cut off', async () => {
    const mn1 = await vault('mn1');
    await node();
    await task('nightly');
    const { setId: id } = await backUp('nightly');
    const mn2 = await vault('mn2', { onAssign: (assign) => (assign.work?.$case === 'mirror' ? undefined : success(assign)) });
    await until(() => expect(told(mn2, 'mirror')).toHaveLength(1));
    const refusal = await refusalOf(cluster().admin().deleteSet({ requestId: '', id }));
    expect([refusal.code, refusal.details]).toEqual([status.FAILED_PRECONDITION, expect.stringMatching(/is being read/)]);
    mn2.finish(told(mn2, 'mirror')[0] as Assign, failure('cut off'));
    await until(() => cluster().admin().deleteSet({ requestId: '', id }));
    await until(async () => expect(await sets()).toEqual([]));
    // Its manifest first, then its bytes.
    expect(deletions(mn1).map(({ files, manifestsOnly }) => [files.length, manifestsOnly])).toEqual([
      [1, true],
      [1, false],
    ]);
    await until(() => expect(cleared(mn2)).toEqual([expect.stringMatching(/^nightly_\d{14}\/OMS_\d{14}\/$/)]));
  });
});

/** The controller is started again on a catalogue that has this too. */
async function startWith(seed: (view: StoreView) => Promise<void>): Promise<void> {
  await cluster().stop();
  const store = await openSqliteStore(join(cluster().directory, 'state', 'catalogue.sqlite'));
  await store.transaction(seed);
  await store.close();
  await cluster().start();
}

describe('what cannot be done, however much that is,', () => {
  test('holds up no other deletion', async () => {
    await startWith(async (view) => {
      const deleting = { sinceMs: 1, unlisted: [] };
      for (let n = 0; n < 250; n++) await view.putSet(setOf(`away${n}`, 'nightly', ['mn2'], { deleting }));
      await view.putSet(setOf('here', 'nightly', ['mn1'], { deleting }));
    });
    await vault('mn1');
    await until(async () => expect((await sets()).map(({ id }) => id)).not.toContain('here'));
    expect(await sets()).toHaveLength(100);
  });

  test('holds up no other copy', async () => {
    await startWith(async (view) => {
      for (let n = 0; n < 250; n++) await view.putSet(setOf(`away${n}`, 'nightly', ['gone']));
      await view.putSet(setOf('here', 'nightly', ['mn1']));
    });
    await vault('mn1');
    const mn2 = await vault('mn2');
    await until(() => expect(told(mn2, 'mirror')).toHaveLength(1));
  });

  test('holds up no other clearing', async () => {
    await startWith(async (view) => {
      for (let n = 0; n < 250; n++) {
        await view.putLeftover({ runId: `r${n}`, attempt: 2, prefix: 'nightly_1/away/', nodes: ['mn2'] });
      }
      await view.putLeftover({ runId: 'r9', attempt: 2, prefix: 'nightly_1/here/', nodes: ['mn1'] });
    });
    const mn1 = await vault('mn1');
    await until(() => expect(cleared(mn1)).toEqual(['nightly_1/here/']));
  });
});

describe('a vault whose node is no management node any more', () => {
  const going = (id: string, nodes: readonly string[]) =>
    setOf(id, 'nightly', nodes, { runId: 'r1', deleting: { sinceMs: 1, unlisted: [] } });
  const leftover: Leftover = { runId: 'r1', attempt: 2, prefix: 'nightly_1/part/', nodes: ['mn1', 'old'] };

  test('is not waited for when it is away: what goes is forgotten, and the log says what lies there still', async () => {
    await startWith(async (view) => {
      await view.putRun(runOf('r1', 'successful'));
      await view.putSet(going('both', ['mn1', 'old']));
      await view.putSet(going('there', ['old']));
      await view.putSet(setOf('stays', 'nightly', ['mn1', 'old']));
      await view.putLeftover(leftover);
    });
    expect((await sets()).map(({ id }) => id)).toEqual(['stays', 'there', 'both']);
    const mn1 = await vault('mn1');
    await until(async () => expect((await sets()).map(({ id, nodes }) => [id, nodes])).toEqual([['stays', ['mn1', 'old']]]));
    expect((await logOf('r1')).toSorted()).toEqual(
      ['both', 'there'].map(
        (id) => `the set ${id} is forgotten; it was not deleted from the vault of old, which is no management node any more`,
      ),
    );
    expect(cleared(mn1)).toEqual([leftover.prefix]);
    await cluster().stop();
    const store = await openSqliteStore(join(cluster().directory, 'state', 'catalogue.sqlite'));
    expect(await store.leftoversOf('r1')).toEqual([]);
    await store.close();
  });

  test('is cleared as long as its agent is there', async () => {
    await startWith(async (view) => {
      await view.putSet(going('there', ['old']));
      await view.putLeftover({ ...leftover, nodes: ['old'] });
    });
    const old = await vault('old');
    await until(async () => expect(await sets()).toEqual([]));
    await until(() => expect(cleared(old)).toEqual([leftover.prefix]));
    expect(deletions(old).map(({ files, manifestsOnly }) => [files.length, manifestsOnly])).toEqual(
      expect.arrayContaining([
        [1, true],
        [1, false],
      ]) as unknown,
    );
  });
});

describe('after its start the controller', () => {
  test('waits for the vaults before it gives out a share that its agent has lost', async () => {
    await vault('mn1');
    await vault('mn2');
    const dn1 = await node({ onAssign: waits });
    await task('nightly');
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(1));
    await cluster().stop();
    await cluster().start();
    const back = await node();
    await vault('mn1');
    await vault('mn2');
    expect((await untilEnded(cluster().admin(), id)).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect(back.assigns).toHaveLength(1);
    expect((await sets())[0]?.nodes).toEqual(['mn1', 'mn2']);
  });
});

describe('the topology of a set', () => {
  test('is that of the start of its run', async () => {
    await vault('mn1');
    const dn1 = await node({ onAssign: waits });
    await task('nightly', { sources: [OMS, LDAP] });
    const id = await runTask(cluster().admin(), 'nightly');
    await until(() => expect(dn1.assigns).toHaveLength(2));
    await cluster().agent('dn2', { sources: ['NameNode'] });
    for (const assign of dn1.assigns) dn1.finish(assign, success(assign));
    const { setId } = await untilEnded(cluster().admin(), id);
    const { plan } = await cluster().admin().planRestore({ setId, sources: [], options: undefined });
    expect(plan?.refusals).toEqual(['the topology differs: now there is "dn2: NameNode"']);
  });
});
