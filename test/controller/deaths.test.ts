import { describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import type { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { LDAP, OMS, startCluster, taskSpec, untilEnded } from './cluster.ts';
import type { AdminApi, Cluster } from './cluster.ts';
import { dyingStore } from './dying-store.ts';
import type { Death } from './dying-store.ts';
import { success, vaultFacts } from './fake-agent.ts';

/** More writes than a flow has: the first death that does not come ends the series. */
const MOST_WRITES = 40;

/** An agent that lives longer than its controller: it remembers what it did until that is acknowledged. */
function lastingAgent(cluster: Cluster, node: string, sources: readonly string[], vault: boolean) {
  const done: Assign[] = [];
  const unacknowledged = new Map<string, Finished>();
  const onAssign = (assign: Assign) => {
    const outcome = success(assign);
    done.push(assign);
    const { assignmentId, runId, attempt } = assign;
    unacknowledged.set(assignmentId, { assignmentId, runId, attempt, endedMs: 1n, outcome });
    return outcome;
  };
  return {
    done,
    async connect() {
      const finished = [...unacknowledged.values()];
      const options = { sources, vault: vault ? vaultFacts(node) : undefined, finished, onAssign };
      const agent = await cluster.agent(node, options);
      for (const id of agent.welcome.acknowledged) unacknowledged.delete(id);
    },
  };
}

interface Ended {
  readonly api: AdminApi;
  readonly done: readonly Assign[];
  readonly died: boolean;
}

/** `flow` is asked again with the same request ids when its controller died in the middle of it, as a caller would. */
async function withDeath(death: Death, flow: (api: AdminApi) => Promise<void>): Promise<Ended & AsyncDisposable> {
  let died = false;
  let first = true;
  let die: () => void = () => undefined;
  const dead = new Promise<void>((resolve) => (die = resolve));
  // The agents of a busy machine are slow; none of them is lost here.
  const cluster = await startCluster({ lease: '30s' }, (store) => {
    if (!first) return store;
    first = false;
    return dyingStore(store, death, () => {
      died = true;
      die();
    });
  });
  const agents = [
    lastingAgent(cluster, 'mn1', [], true),
    lastingAgent(cluster, 'mn2', [], true),
    lastingAgent(cluster, 'dn1', ['OMS', 'LdapServer'], false),
  ];
  const connect = async () => {
    for (const agent of agents) await agent.connect();
  };
  const attempt = async () => {
    await connect();
    await flow(cluster.admin());
  };
  // A call fails or hangs because of the death; without one its failure is the test's.
  const tried = attempt();
  await Promise.race([tried, dead]).catch((error: unknown) => (died ? undefined : Promise.reject(error)));
  tried.catch(() => undefined);
  death.armed = false;
  if (died) {
    await cluster.stop();
    await cluster.start();
    await attempt();
  }
  return {
    api: cluster.admin(),
    done: agents.flatMap((agent) => agent.done),
    died,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

const worked = (done: readonly Assign[], kind: string) => done.filter(({ work }) => work?.$case === kind);

async function backUp(api: AdminApi): Promise<string> {
  const spec = taskSpec('nightly', { sources: [OMS, LDAP] });
  await api.createTask({ requestId: 'create', spec });
  const { run } = await api.runTask({ requestId: 'run', name: 'nightly' });
  const end = await untilEnded(api, run?.id ?? '');
  expect(end.state, JSON.stringify(end.fault)).toBe(RunState.RUN_STATE_SUCCESSFUL);
  return end.setId;
}

async function restore(api: AdminApi): Promise<void> {
  const setId = await backUp(api);
  await api.createRestore({ requestId: 'restore', name: 'back', setId, sources: [], options: undefined });
  const { run } = await api.startRestore({ requestId: 'start', name: 'back' });
  expect((await untilEnded(api, run?.id ?? '')).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
}

async function atEachWrite(durable: boolean, flow: (api: AdminApi) => Promise<void>, check: (end: Ended) => Promise<void>) {
  for (let write = 1; write <= MOST_WRITES; write++) {
    await using end = await withDeath({ write, durable, armed: true }, flow);
    await check(end);
    if (!end.died) return write;
  }
  return expect.unreachable('the flow writes more often than that');
}

/** Some twenty clusters each, on a machine that may have other work. */
const LONG_MS = 300_000;

describe.concurrent.each([true, false])('a controller that is killed at any write, which is durable: %s', (durable) => {
  test(
    'ends the backup after its next start as it would have: one run, one whole set, each source backed up once',
    async () => {
      const deaths = await atEachWrite(
        durable,
        async (api) => void (await backUp(api)),
        async ({ api, done }) => {
          expect(worked(done, 'backup')).toHaveLength(2);
          expect((await api.listRuns({ task: '', pageSize: 0, pageToken: '' })).runs).toHaveLength(1);
          const { sets } = await api.listSets({ task: '', pageSize: 0, pageToken: '' });
          expect(sets.map(({ state }) => state)).toEqual([SetState.SET_STATE_COMPLETE]);
        },
      );
      expect(deaths).toBeGreaterThan(6);
    },
    LONG_MS,
  );

  test(
    'restores each source once, and not again after that success',
    async () => {
      await atEachWrite(durable, restore, async ({ api, done }) => {
        expect(worked(done, 'restore')).toHaveLength(2);
        const again = await api.startRestore({ requestId: 'again', name: 'back' }).then(
          () => expect.unreachable('it was started'),
          (error: unknown) => error as ServiceError,
        );
        expect(again.code).toBe(status.FAILED_PRECONDITION);
      });
    },
    LONG_MS,
  );
});
