import { expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { AgentServiceClient } from '#common/gen/holdfast/v1/agent.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import type { Lead, Store } from '../../controller/store/store.ts';
import { promised, startCluster, until } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';

const other: Lead = { kind: 'following', leader: '', holder: 'other', leftMs: 1000 };

/** Of a lead that goes to another when the test says so. */
function losing(store: Store, lost: () => boolean): Store {
  return {
    ...store,
    renewLead: (term, leaseMs) => (lost() ? Promise.resolve(other) : store.renewLead(term, leaseMs)),
    takeLead: (candidate, leaseMs) => (lost() ? Promise.resolve(other) : store.takeLead(candidate, leaseMs)),
  };
}

test('an agent that says its Hello when the reign has ended in which it dialled is refused too', async () => {
  let lost = false;
  await using cluster = await startCluster({ leaderLease: '600ms' }, (store) => losing(store, () => lost));
  const mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  const credentials = grpcChannelCredentials(await cluster.files('dn1', 'agent'));
  const client = new AgentServiceClient(cluster.address(), credentials);
  const line = client.session();
  const ended = new Promise<number>((resolve) => line.on('error', ({ code }: Error & { code: number }) => resolve(code)));
  line.resume();
  // It comes after the session on the same connection: once it is refused, the session is known.
  await expect(
    promised(new AdminServiceClient(cluster.address(), credentials, { channelOverride: client.getChannel() })).getAgent({
      node: 'dn1',
    }),
  ).rejects.toMatchObject({
    code: status.PERMISSION_DENIED,
  });
  lost = true;
  await mn1.ended;
  const hello = { node: 'dn1', version: '0.1.0', host: undefined, sources: ['OMS'], vault: undefined, certificateEndsMs: 0n };
  line.write({ message: { $case: 'hello', value: { ...hello, running: [], finished: [] } } });
  expect(await ended).toBe(status.UNAVAILABLE);
  client.close();
});

test('an agent whose Hello is still being written when the lead is lost is refused, and not welcomed by what has ended', async () => {
  const written = Promise.withResolvers<void>();
  let [lost, held] = [false, false];
  await using cluster = await startCluster({ leaderLease: '600ms' }, (store) => ({
    ...losing(store, () => lost),
    transaction: (work) =>
      store.transaction(async (view) => {
        const putAgent: typeof view.putAgent = async (agent) => {
          await view.putAgent(agent);
          if (agent.node !== 'mn2') return;
          held = true;
          await written.promise;
        };
        return work({ ...view, putAgent });
      }),
  }));
  const mn1 = await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  const coming = cluster.agent('mn2', { vault: vaultFacts('mn2') }).then(
    () => 'welcomed',
    (error: unknown) => (error as { code: number }).code,
  );
  await until(() => expect(held).toBe(true));
  lost = true;
  // The lines of that reign have ended.
  await mn1.ended;
  written.resolve();
  expect(await coming).toBe(status.UNAVAILABLE);
});
