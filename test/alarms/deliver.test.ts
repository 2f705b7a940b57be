import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import type { Channel } from '../../controller/alarms/delivery/channel.ts';
import { createChannels } from '../../controller/alarms/delivery/channels.ts';
import { alarmsConfigSchema } from '../../controller/alarms/delivery/config.ts';
import { startDelivery } from '../../controller/alarms/delivery/deliver.ts';
import type { RunningDelivery } from '../../controller/alarms/delivery/deliver.ts';
import { testChannels } from '../../controller/alarms/delivery/test-channels.ts';
import { startReceiver } from './https-receiver.ts';
import type { HttpsReceiver } from './https-receiver.ts';
import { MemoryLog } from './memory-log.ts';
import { cleared, eventually, keepingLogger, never, openCertificates, openPlace, raised } from './samples.ts';
import type { Place } from './samples.ts';
import { startSmtp } from './smtp-server.ts';
import { freeUdpPort, startSnmptrapd } from './snmptrapd.ts';

/** As the documented ones, a thousand times as fast. */
const limits = { firstPauseMs: 15, longestPauseMs: 100, giveUpAfterMs: 43_200 };

let place: Place;
let certificates: Awaited<ReturnType<typeof openCertificates>>;
let log: MemoryLog;
let delivery: RunningDelivery | undefined;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  place = await openPlace();
  certificates = await openCertificates(place, 'ours');
  log = new MemoryLog();
  delivery = undefined;
});
afterEach(async () => {
  await delivery?.stop();
  await place[Symbol.asyncDispose]();
});

function start(channels: readonly Channel[], change: Partial<typeof limits> = {}): void {
  const kept = keepingLogger();
  ({ lines } = kept);
  delivery = startDelivery({ channels, log, clock: systemClock, logger: kept.logger, limits: { ...limits, ...change } });
}

/** A port on which nothing listens, for a server that starts later. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function allChannels(ports: { webhook: number; email: number; snmp: number }): Promise<Channel[]> {
  return createChannels(
    alarmsConfigSchema.parse({
      webhooks: [{ name: 'ops', url: `https://127.0.0.1:${ports.webhook}/`, ca: certificates.ca, timeout: '500ms' }],
      email: [
        {
          name: 'oncall',
          host: '127.0.0.1',
          port: ports.email,
          ca: certificates.ca,
          from: 'holdfast@example.org',
          to: ['oncall@example.org'],
          timeout: '2s',
        },
      ],
      snmp: [
        {
          name: 'nms',
          host: '127.0.0.1',
          port: ports.snmp,
          version: '2c',
          communityFile: await place.file('community', 'c\n'),
          timeout: '300ms',
        },
      ],
    }),
  );
}

const webhook = (name: string, { port }: { port: number }) =>
  createChannels(
    alarmsConfigSchema.parse({
      webhooks: [{ name, url: `https://127.0.0.1:${port}/`, ca: certificates.ca, timeout: '300ms' }],
    }),
  );

const stateOf = (channel: string) => log.rows().find((row) => row.channel === channel);
const kindsOf = ({ posts }: HttpsReceiver) => posts.map(({ body }) => (JSON.parse(body) as { status: string }).status);

describe('delivery', () => {
  test('reaches all three kinds of receivers, though every one of them was down at first', async () => {
    const ports = { webhook: await freePort(), email: await freePort(), snmp: await freeUdpPort() };
    const channels = await allChannels(ports);
    await log.put(
      raised(),
      channels.map(({ name }) => name),
    );
    start(channels);
    await eventually(() => expect(log.rows().map(({ attempts }) => attempts > 0)).toEqual([true, true, true]));
    await using receiver = await startReceiver(certificates.pem, ports.webhook);
    await using relay = await startSmtp({ mode: 'starttls', ...certificates, port: ports.email });
    await using manager = await startSnmptrapd({
      directory: place.directory,
      configuration: ['authCommunity log c'],
      port: ports.snmp,
    });
    await eventually(() => expect(log.rows().map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered']));
    expect(receiver.posts).toHaveLength(1);
    await eventually(() => expect(relay.mails).toHaveLength(1));
    await eventually(() => expect(manager.lines.length).toBeGreaterThan(0));
    expect(lines.filter(({ msg }) => msg === 'alarm delivered')).toHaveLength(3);
    expect(lines.filter(({ msg }) => msg === 'alarm not delivered yet').length).toBeGreaterThanOrEqual(3);
  });

  test('goes on for the others while one receiver hangs, which is tried again and again', async () => {
    await using hanging = await startReceiver(certificates.pem);
    await using sound = await startReceiver(certificates.pem);
    hanging.answer = undefined;
    const channels = [...webhook('hanging', hanging), ...webhook('sound', sound)];
    for (let n = 0; n < 20; n++)
      await log.put(raised({ id: `n-${n}`, subject: `task_${n}` }), ['webhook/hanging', 'webhook/sound']);
    start(channels);
    await eventually(() => expect(sound.posts).toHaveLength(20));
    expect(hanging.posts.length).toBeLessThan(20);
    await eventually(() => expect(stateOf('webhook/hanging')).toMatchObject({ attempts: 1, error: { code: 'TIMEOUT' } }));
    hanging.answer = { status: 200 };
    await eventually(() => expect(log.rows().every(({ state }) => state === 'delivered')).toBe(true));
  });

  test('tells of the clearing after the raising, also when the raising failed at first', async () => {
    await using receiver = await startReceiver(certificates.pem);
    receiver.answer = { status: 503 };
    start(webhook('ops', receiver));
    await log.put(raised(), ['webhook/ops']);
    await log.put(cleared(), ['webhook/ops']);
    delivery?.wake();
    await eventually(() => expect(receiver.posts.length).toBeGreaterThan(2));
    receiver.answer = { status: 200 };
    await eventually(() => expect(log.rows().every(({ state }) => state === 'delivered')).toBe(true));
    expect(kindsOf(receiver).at(-1)).toBe('resolved');
    expect(kindsOf(receiver).filter((status) => status === 'resolved')).toHaveLength(1);
  });

  test('gives up at once what is refused for good, visibly, and goes on with the next', async () => {
    await using receiver = await startReceiver(certificates.pem);
    receiver.answer = { status: 400, body: 'no such receiver' };
    start(webhook('ops', receiver));
    await log.put(raised(), ['webhook/ops']);
    delivery?.wake();
    await eventually(() =>
      expect(stateOf('webhook/ops')).toMatchObject({ state: 'givenUp', attempts: 1, error: { code: 'REFUSED' } }),
    );
    expect(lines.at(-1)).toMatchObject({
      level: 50,
      msg: 'alarm not delivered, given up',
      alarm: 12034,
      attempts: 1,
      code: 'REFUSED',
    });
    receiver.answer = { status: 200 };
    await log.put(raised({ id: 'n-9', subject: 'weekly' }), ['webhook/ops']);
    delivery?.wake();
    await eventually(() => expect(kindsOf(receiver)).toEqual(['firing', 'firing']));
  });

  test('gives up after the limit, and says so', async () => {
    await using receiver = await startReceiver(certificates.pem);
    receiver.answer = { status: 500 };
    await log.put(raised(), ['webhook/ops']);
    start(webhook('ops', receiver), { giveUpAfterMs: 40 });
    await eventually(() =>
      expect(stateOf('webhook/ops')).toMatchObject({ state: 'givenUp', attempts: 3, error: { code: 'UNAVAILABLE' } }),
    );
    expect(receiver.posts).toHaveLength(3);
  });

  test('waits for a password to be corrected', async () => {
    await using relay = await startSmtp({ mode: 'starttls', ...certificates, login: ['holdfast', 'right'] });
    const passwordFile = await place.file('password', 'wrong\n');
    const channels = createChannels(
      alarmsConfigSchema.parse({
        email: [
          {
            name: 'oncall',
            host: '127.0.0.1',
            port: relay.port,
            ca: certificates.ca,
            login: { user: 'holdfast', passwordFile },
            from: 'holdfast@example.org',
            to: ['oncall@example.org', 'nobody@example.org'],
          },
        ],
      }),
    );
    await log.put(
      raised(),
      channels.map(({ name }) => name),
    );
    start(channels);
    await eventually(() =>
      expect(stateOf('email/oncall/oncall@example.org')).toMatchObject({ error: { code: 'UNAUTHENTICATED' } }),
    );
    await place.file('password', 'right\n');
    await eventually(() => expect(stateOf('email/oncall/oncall@example.org')).toMatchObject({ state: 'delivered' }));
    await eventually(() => expect(stateOf('email/oncall/nobody@example.org')).toMatchObject({ state: 'givenUp' }));
  });

  test('stops at once in mid-attempt; the attempt counts as not made, and the next start makes it', async () => {
    await using receiver = await startReceiver(certificates.pem);
    receiver.answer = undefined;
    await log.put(raised(), ['webhook/ops']);
    start(
      createChannels(
        alarmsConfigSchema.parse({
          webhooks: [{ name: 'ops', url: `https://127.0.0.1:${receiver.port}/`, ca: certificates.ca, timeout: '5m' }],
        }),
      ),
    );
    await eventually(() => expect(receiver.posts).toHaveLength(1));
    await delivery?.stop();
    expect(stateOf('webhook/ops')).toMatchObject({ state: 'waiting', attempts: 0 });
    receiver.answer = { status: 200 };
    start(webhook('ops', receiver));
    await eventually(() => expect(stateOf('webhook/ops')).toMatchObject({ state: 'delivered' }));
    const [first, second] = receiver.posts.map(({ body }) => body);
    expect(second).toBe(first);
  });

  test('gives up what waits for a channel that is configured no more', async () => {
    await log.put(raised(), ['webhook/gone']);
    start([]);
    await eventually(() => expect(stateOf('webhook/gone')).toMatchObject({ state: 'givenUp' }));
    expect(lines.at(-1)).toMatchObject({ error: 'the configuration has no channel webhook/gone any more' });
  });

  test('goes on when the queue could not be read for a while', async () => {
    await using receiver = await startReceiver(certificates.pem);
    await log.put(raised(), ['webhook/ops']);
    const { waiting } = log;
    log.waiting = () => Promise.reject(new AppError('UNAVAILABLE', 'the catalogue is locked'));
    start(webhook('ops', receiver));
    await eventually(() => expect(lines.filter(({ msg }) => String(msg).includes('cannot be read'))).toHaveLength(2));
    log.waiting = waiting;
    delivery?.wake();
    await eventually(() => expect(receiver.posts).toHaveLength(1));
  });
});

describe('the test of all channels', () => {
  test('sends a marked notice over each and says of each how it went', async () => {
    await using receiver = await startReceiver(certificates.pem);
    await using manager = await startSnmptrapd({ directory: place.directory, configuration: ['authCommunity log c'] });
    const channels = await allChannels({ webhook: receiver.port, email: await freePort(), snmp: manager.port });
    const answers = await testChannels(channels, { origin: 'mn1', nowMs: systemClock.now() }, never);
    expect(answers).toMatchObject([
      { channel: 'webhook/ops', error: undefined },
      { channel: 'email/oncall/oncall@example.org', error: { code: 'UNAVAILABLE' } },
      { channel: 'snmp/nms', error: undefined },
    ]);
    expect(JSON.parse(receiver.posts[0]?.body ?? '')).toMatchObject({
      commonLabels: { test: 'true', severity: 'info', alarm_id: '0' },
    });
    await eventually(() => expect(manager.lines[0]).toContain('holdfastAlarmTestNotification'));
  });
});
