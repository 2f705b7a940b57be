/** An alarm reaches whoever is to be told of it: at least once, whenever the controller dies, and without holding anything up. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeliveryState } from '#common/gen/holdfast/v1/admin.ts';
import type { Alarm } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import type { Store } from '../../controller/store/store.ts';
import { startReceiver } from '../alarms/https-receiver.ts';
import type { HttpsReceiver } from '../alarms/https-receiver.ts';
import { openCertificates, openPlace } from '../alarms/samples.ts';
import type { Place } from '../alarms/samples.ts';
import { runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { dyingStore } from './dying-store.ts';
import type { Death } from './dying-store.ts';
import { vaultFacts } from './fake-agent.ts';

const DAY = 24 * 3_600_000;
const { DELIVERY_STATE_DELIVERED, DELIVERY_STATE_GIVEN_UP, DELIVERY_STATE_WAITING } = DeliveryState;

let place: Place;
let receiver: HttpsReceiver;
let ca: string;

beforeEach(async () => {
  place = await openPlace();
  const certificates = await openCertificates(place, 'hooks-ca');
  ca = certificates.ca;
  receiver = await startReceiver(certificates.pem);
});
afterEach(async () => {
  await receiver[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** Nobody is lost but by intent: the machine is slow. */
const clusterOf = (between?: (store: Store) => Store) =>
  startCluster(
    { lease: '30s', alarms: { webhooks: [{ name: 'ops', url: `https://127.0.0.1:${receiver.port}/hook`, ca }] } },
    between,
  );

async function alarms(cluster: Cluster, history = true): Promise<Alarm[]> {
  return (await cluster.admin().listAlarms({ history, pageSize: 0, pageToken: '' })).alarms;
}

interface Posted {
  readonly status: string;
  readonly alerts: readonly { labels: Record<string, string>; annotations: Record<string, string> }[];
}

/** "firing" and "resolved" of an alarm, as they came. */
function posted(id: number): { status: string; subject: string | undefined; notice: string }[] {
  return receiver.posts
    .map(({ body }) => JSON.parse(body) as Posted)
    .flatMap(({ status, alerts }) =>
      alerts.map(({ labels, annotations }) => ({ status, id: labels['alarm_id'], subject: labels['subject'], annotations })),
    )
    .filter((alert) => alert.id === String(id))
    .map(({ status, subject, annotations }) => ({ status, subject, notice: annotations['notice'] ?? '' }));
}

const states = ({ deliveries }: Alarm) =>
  deliveries.map(({ channel, ofClearing, state }) => [channel, ofClearing ? 'cleared' : 'raised', state]);

test('a receiver is told that an alarm is up and that it is over, once each, and the list says so', async () => {
  await using cluster = await clusterOf();
  await cluster.admin().createTask({
    requestId: '',
    spec: taskSpec('paused', { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } }),
  });
  await cluster.admin().lockTask({ requestId: '', name: 'paused' });
  cluster.clock.advance(8 * DAY);
  await until(() => expect(posted(12061)).toMatchObject([{ status: 'firing', subject: 'paused' }]));
  await cluster.admin().unlockTask({ requestId: '', name: 'paused' });
  cluster.clock.advance(20_000);
  await until(() => expect(posted(12061).map(({ status }) => status)).toEqual(['firing', 'resolved']));
  await until(async () => {
    const paused = (await alarms(cluster)).find(({ id }) => id === 12061);
    expect(paused && states(paused)).toEqual([
      ['webhook/ops', 'raised', DELIVERY_STATE_DELIVERED],
      ['webhook/ops', 'cleared', DELIVERY_STATE_DELIVERED],
    ]);
  });
  expect(await cluster.admin().testAlarms({})).toEqual({ channels: [{ channel: 'webhook/ops', failed: undefined }] });
});

test('a receiver that hangs holds up neither runs nor the end of the controller', async () => {
  receiver.answer = undefined;
  await using cluster = await clusterOf();
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  await cluster.agent('dn1', { sources: ['OMS'] });
  await until(() => expect(receiver.posts).toHaveLength(1));
  await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
  const run = await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'nightly'));
  expect(run.state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  expect(receiver.posts, 'the same attempt still hangs').toHaveLength(1);
  const waiting = (await alarms(cluster)).flatMap(({ deliveries }) => deliveries);
  expect(new Set(waiting.map(({ state }) => state))).toEqual(new Set([DELIVERY_STATE_WAITING]));
  await cluster.stop();
  await until(async () => expect(await receiver.connections()).toBe(0));
});

test('what a receiver refuses for good is given up and shown with the reason, for 30 days', async () => {
  receiver.answer = { status: 400, body: 'no such room' };
  await using cluster = await clusterOf();
  await until(async () => {
    const alarm = (await alarms(cluster)).find(({ id }) => id === 12057);
    expect(alarm?.deliveries).toMatchObject([
      { state: DELIVERY_STATE_GIVEN_UP, failedAttempts: 1, nextMs: 0n, fault: { code: 'REFUSED' } },
    ]);
    expect(alarm?.deliveries[0]?.fault?.message).toContain('no such room');
  });
  cluster.clock.advance(30 * DAY + 3_600_000);
  await until(async () => expect((await alarms(cluster)).find(({ id }) => id === 12057)?.deliveries).toEqual([]));
});

/** Two alarms that are up from the start: 12057, and 12064 of a certificate of one day. */
async function allTold(cluster: Cluster): Promise<void> {
  await until(async () => {
    const up = await alarms(cluster);
    expect(new Set(up.map(({ id }) => id))).toEqual(new Set([12057, 12064]));
    expect(up.flatMap(({ deliveries }) => deliveries.map(({ state }) => state))).toEqual([
      DELIVERY_STATE_DELIVERED,
      DELIVERY_STATE_DELIVERED,
    ]);
  });
}

async function dieAt(death: Death): Promise<boolean> {
  let die: () => void = () => undefined;
  let died = false;
  const dead = new Promise<void>((resolve) => (die = resolve));
  let first = true;
  await using cluster = await clusterOf((store) => {
    if (!first) return store;
    first = false;
    return dyingStore(store, death, () => {
      died = true;
      die();
    });
  });
  const told = allTold(cluster);
  await Promise.race([told, dead]).catch((error: unknown) => (died ? undefined : Promise.reject(error)));
  told.catch(() => undefined);
  death.armed = false;
  if (died) {
    await cluster.stop();
    await cluster.start();
    await allTold(cluster);
  }
  return died;
}

describe.each([true, false])('a controller that is killed at any write, which is durable: %s', (durable) => {
  test('tells of each alarm at least once after its next start, and says it with the same id again', async () => {
    let deaths = 0;
    for (let write = 1; await dieAt({ write, durable, armed: true }); write++) {
      deaths = write;
      for (const id of [12057, 12064]) {
        const told = posted(id);
        expect(told.length).toBeGreaterThanOrEqual(1);
        expect(new Set(told.map(({ notice }) => notice)).size, 'a notice that comes twice has one id').toBe(deaths);
      }
    }
    expect(deaths, 'each raising and each delivery is a write').toBeGreaterThanOrEqual(4);
  });
});
