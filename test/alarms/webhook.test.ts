import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { WebhookConfig } from '../../controller/alarms/delivery/config.ts';
import { webhookChannel } from '../../controller/alarms/delivery/webhook.ts';
import { startReceiver } from './https-receiver.ts';
import type { HttpsReceiver } from './https-receiver.ts';
import { cleared, never, openCertificates, openPlace, raised } from './samples.ts';
import type { Place } from './samples.ts';

/** Alertmanager's template.Data of version 4, field by field; nothing more, for some receivers are strict. */
const time = z.iso.datetime();
const strings = z.record(z.string(), z.string());
const alertmanagerV4 = z.strictObject({
  version: z.literal('4'),
  groupKey: z.string().min(1),
  truncatedAlerts: z.int(),
  status: z.enum(['firing', 'resolved']),
  receiver: z.string().min(1),
  groupLabels: strings,
  commonLabels: strings,
  commonAnnotations: strings,
  externalURL: z.string(),
  alerts: z
    .array(
      z.strictObject({
        status: z.enum(['firing', 'resolved']),
        labels: z.looseObject({ alertname: z.string(), severity: z.string() }),
        annotations: strings,
        startsAt: time,
        endsAt: time,
        generatorURL: z.string(),
        fingerprint: z.string().regex(/^[0-9a-f]{16}$/),
      }),
    )
    .min(1),
});

let place: Place;
let receiver: HttpsReceiver;
let config: WebhookConfig;

beforeAll(async () => {
  place = await openPlace();
});
afterAll(() => place[Symbol.asyncDispose]());

beforeEach(async (context) => {
  const certificates = await openCertificates(place, 'ours');
  receiver = await startReceiver(certificates.pem);
  context.onTestFinished(() => receiver[Symbol.asyncDispose]());
  config = { name: 'ops', url: `https://127.0.0.1:${receiver.port}/hook?key=abc`, ca: certificates.ca, timeout: 5000 };
});

describe('a webhook', () => {
  test('receives the raising in the format of Alertmanager, version 4', async () => {
    await webhookChannel(config).deliver(raised(), never);
    const post = receiver.posts[0];
    expect(post).toMatchObject({ method: 'POST', url: '/hook?key=abc', headers: { 'content-type': 'application/json' } });
    expect(post?.headers.authorization).toBeUndefined();
    const sent = alertmanagerV4.parse(JSON.parse(post?.body ?? ''));
    expect(sent).toMatchObject({ status: 'firing', receiver: 'ops' });
    expect(sent.alerts).toMatchObject([
      {
        status: 'firing',
        labels: { alertname: 'Periodic backup failure', alarm_id: '12034', severity: 'major', subject: 'default', origin: 'mn1' },
        annotations: { description: raised().detail, next: raised().next, notice: 'n-1' },
        startsAt: '2026-11-24T02:13:05Z',
        endsAt: '0001-01-01T00:00:00Z',
      },
    ]);
  });

  test('receives the clearing as the end of the same alert', async () => {
    await webhookChannel(config).deliver(raised(), never);
    await webhookChannel(config).deliver(cleared(), never);
    const [first, second] = receiver.posts.map(({ body }) => alertmanagerV4.parse(JSON.parse(body)));
    expect(second).toMatchObject({ status: 'resolved', groupKey: first?.groupKey });
    expect(second?.alerts[0]).toMatchObject({ status: 'resolved', endsAt: '2026-11-24T03:13:05Z' });
    expect(second?.alerts[0]?.fingerprint).toBe(first?.alerts[0]?.fingerprint);
    expect(second?.alerts[0]?.labels).toEqual(first?.alerts[0]?.labels);
    // An idle connection would be kept for four.
    await vi.waitFor(async () => expect(await receiver.connections()).toBe(0), 2000);
  });

  test('is shown the token of the file, as it is now', async () => {
    const bearerTokenFile = await place.file('token', 'old\n');
    const channel = webhookChannel({ ...config, bearerTokenFile });
    await channel.deliver(raised(), never);
    await place.file('token', 'new\n');
    await channel.deliver(raised(), never);
    expect(receiver.posts.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new']);
  });

  test('is not called with a token that others can read', async () => {
    const bearerTokenFile = await place.file('open-token', 'x');
    await chmod(bearerTokenFile, 0o644);
    await expect(webhookChannel({ ...config, bearerTokenFile }).deliver(raised(), never)).rejects.toMatchObject({
      code: 'INVALID',
    });
    expect(receiver.posts).toEqual([]);
  });

  test('with a certificate of another CA is refused, and told nothing', async () => {
    const other = await openCertificates(place, 'other');
    await expect(webhookChannel({ ...config, ca: other.ca }).deliver(raised(), never)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('is not trusted') as string,
    });
    const { ca: _, ...withPublicCas } = config;
    await expect(webhookChannel(withPublicCas).deliver(raised(), never)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(receiver.posts).toEqual([]);
  });

  test('whose CA file is none is not called', async () => {
    const ca = await place.file('no-ca', 'nothing');
    await expect(webhookChannel({ ...config, ca }).deliver(raised(), never)).rejects.toMatchObject({ code: 'INVALID' });
    await expect(webhookChannel({ ...config, ca: `${ca}-gone` }).deliver(raised(), never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(receiver.posts).toEqual([]);
  });

  test('with a certificate of another name is refused', async () => {
    const certificates = await openCertificates(place, 'elsewhere', ['elsewhere.example.org']);
    await using elsewhere = await startReceiver(certificates.pem);
    const channel = webhookChannel({ ...config, url: `https://127.0.0.1:${elsewhere.port}/`, ca: certificates.ca });
    await expect(channel.deliver(raised(), never)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(elsewhere.posts).toEqual([]);
  });

  test.each([
    [400, 'REFUSED'],
    [401, 'UNAUTHENTICATED'],
    [403, 'FORBIDDEN'],
    [404, 'NOT_FOUND'],
    [413, 'REFUSED'],
    [429, 'UNAVAILABLE'],
    [500, 'UNAVAILABLE'],
    [503, 'UNAVAILABLE'],
    [302, 'INVALID'],
  ])('that answers %i fails with %s and is quoted', async (status, code) => {
    receiver.answer = { status, body: 'because\n of this' };
    await expect(webhookChannel(config).deliver(raised(), never)).rejects.toMatchObject({
      code,
      message: `post to https://127.0.0.1:${receiver.port}: answered ${status}: because of this`,
    });
  });

  test('that never answers fails at the time-out', async () => {
    receiver.answer = undefined;
    await expect(webhookChannel({ ...config, timeout: 200 }).deliver(raised(), never)).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(receiver.posts).toHaveLength(1);
  });

  test('that takes the connection and says nothing fails at the time-out', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
    await expect(webhookChannel({ ...config, url, timeout: 200 }).deliver(raised(), never)).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    // Closes only when no connection is left: ours is gone.
    silent.close();
    await once(silent, 'close');
  });

  test('that is down is unavailable', async () => {
    const url = 'https://127.0.0.1:1/';
    await expect(webhookChannel({ ...config, url }).deliver(raised(), never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('is left at once when stopped', async () => {
    receiver.answer = undefined;
    const stop = new AbortController();
    const delivery = webhookChannel(config).deliver(raised(), stop.signal);
    stop.abort();
    await expect(delivery).rejects.toMatchObject({ code: 'STOPPED' });
  });
});
