// As in the controller: TLS 1.3 is the least for the whole process, and yet a relay of others may have 1.2, as the one of these tests has.
import '#common/tls.ts';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmailConfig } from '../../controller/alarms/delivery/config.ts';
import type { Channel } from '../../controller/alarms/delivery/channel.ts';
import { emailChannels } from '../../controller/alarms/delivery/email.ts';
import { mailText } from '../../controller/alarms/delivery/mail-text.ts';
import { cleared, eventually, never, openCertificates, openPlace, raised } from './samples.ts';
import type { Place } from './samples.ts';
import { startSmtp } from './smtp-server.ts';
import type { SmtpServer } from './smtp-server.ts';

let place: Place;
let certificates: Awaited<ReturnType<typeof openCertificates>>;
let relay: SmtpServer;

beforeAll(async () => {
  place = await openPlace();
  certificates = await openCertificates(place, 'ours');
  relay = await startSmtp({ mode: 'starttls', ...certificates, login: ['holdfast', 'pass word'] });
});
afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

async function config(change: Partial<EmailConfig> = {}, password = 'pass word'): Promise<EmailConfig> {
  return {
    name: 'oncall',
    host: '127.0.0.1',
    port: relay.port,
    security: 'starttls',
    ca: certificates.ca,
    login: { user: 'holdfast', passwordFile: await place.file('password', `${password}\n`) },
    from: 'holdfast@example.org',
    to: ['oncall@example.org'],
    timeout: 5000,
    ...change,
  };
}

async function channelOf(change: Partial<EmailConfig> = {}, password?: string): Promise<Channel> {
  const [channel, ...others] = emailChannels(await config(change, password));
  if (channel === undefined || others.length > 0) throw new Error('one channel expected');
  return channel;
}

describe('a mail', () => {
  test('goes over STARTTLS with user and password, and says what, about what, since when and what next', async () => {
    await (await channelOf()).deliver(raised(), never);
    const mail = await eventually(
      () => relay.mails.find(({ data }) => data.includes('[MAJOR]')) ?? Promise.reject(new Error('no mail')),
    );
    expect(mail).toMatchObject({ from: 'holdfast@example.org', to: ['oncall@example.org'], tls: true, user: 'holdfast' });
    expect(mail.data).toMatch(/^Subject: \[MAJOR\] Holdfast mn1: Periodic backup failure: default\r$/m);
    expect(mail.data).toMatch(/^Content-Type: text\/plain; charset=utf-8\r$/m);
    expect(mail.data).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect(mail.data).toMatch(/^About: {2}default\r$/m);
    expect(mail.data).toMatch(/^Since: {2}2026-11-24 02:13:05 UTC\r$/m);
  });

  test('that clears an alarm answers the one that raised it', async () => {
    const channel = await channelOf();
    await channel.deliver(raised({ subject: 'weekly' }), never);
    await channel.deliver(cleared({ subject: 'weekly' }), never);
    const [first, second] = await eventually(() => {
      const found = relay.mails.filter(({ data }) => data.includes('Periodic backup failure: weekly'));
      expect(found).toHaveLength(2);
      return found;
    });
    const id = /^Message-ID: (<.*>)\r$/im.exec(first?.data ?? '')?.[1];
    expect(id).toBeDefined();
    expect(second?.data).toContain(`In-Reply-To: ${id}\r`);
    expect(second?.data).toContain('[cleared] Holdfast mn1');
  });

  test('goes over TLS from the first byte when told to', async () => {
    await using tls = await startSmtp({ mode: 'tls', ...certificates });
    const { login: _, ...without } = await config({ port: tls.port, security: 'tls' });
    await emailChannels(without)[0]?.deliver(raised(), never);
    await eventually(() => expect(tls.mails).toHaveLength(1));
    expect(tls.mails[0]).toMatchObject({ tls: true, user: null });
  });

  test('never goes, nor does a password, to a relay that offers no STARTTLS', async () => {
    await using plain = await startSmtp({ mode: 'none', login: ['holdfast', 'pass word'] });
    await expect((await channelOf({ port: plain.port })).deliver(raised(), never)).rejects.toMatchObject({ code: 'INVALID' });
    expect(plain.mails).toEqual([]);
  });

  test('never goes to a relay with a certificate of another CA', async () => {
    const other = await openCertificates(place, 'other');
    await expect((await channelOf({ ca: other.ca })).deliver(raised({ subject: 'unseen' }), never)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('is not trusted') as string,
    });
    expect(relay.mails.filter(({ data }) => data.includes('unseen'))).toEqual([]);
  });

  test('with a wrong password waits for a person, and goes when the file is corrected', async () => {
    const channel = await channelOf({}, 'wrong');
    const failure = channel.deliver(raised(), never);
    await expect(failure).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(failure).rejects.not.toThrow('wrong');
    await place.file('password', 'pass word\n');
    await channel.deliver(raised(), never);
  });

  test('without a password, to a relay that wants one, waits for a person', async () => {
    const { login: _, ...without } = await config();
    await expect(emailChannels(without)[0]?.deliver(raised(), never)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test.each([
    ['nobody@example.org', 'REFUSED', 'no such mailbox'],
    ['later@example.org', 'UNAVAILABLE', 'greylisted'],
  ])('to %s fails with %s, in the words of the relay, and the other addresses get theirs', async (address, code, words) => {
    const [refused, taken] = emailChannels(await config({ to: [address, 'second@example.org'] }));
    expect(refused?.name).toBe(`email/oncall/${address}`);
    await expect(refused?.deliver(raised(), never)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words) as string,
    });
    await taken?.deliver(raised(), never);
  });

  test('to a relay that hangs fails at the time-out and leaves no connection', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect((await channelOf({ port, timeout: 200 })).deliver(raised(), never)).rejects.toMatchObject({ code: 'TIMEOUT' });
    silent.close();
    await once(silent, 'close');
  });

  test('to a relay that hangs in mid-mail fails at the time-out, or at once when stopped', async () => {
    const channel = await channelOf({ to: ['stuck@example.org'], timeout: 1000 });
    await expect(channel.deliver(raised(), never)).rejects.toMatchObject({ code: 'TIMEOUT' });
    const stop = new AbortController();
    const delivery = channel.deliver(raised(), stop.signal);
    stop.abort();
    await expect(delivery).rejects.toMatchObject({ code: 'STOPPED' });
  });

  test('to a relay that is down is unavailable', async () => {
    await expect((await channelOf({ port: 1 })).deliver(raised(), never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

test('the text of a mail is what one needs at three in the morning', () => {
  expect(mailText(raised()).text).toBe(`ALARM 12034 (major) is up.

What:   Periodic backup failure
About:  default
Since:  2026-11-24 02:13:05 UTC

DBService: pg_dump ended with 1: password authentication failed for user "backup" – naïve

What to do next:
  See what failed: holdfast run list --task default

--
Sent by Holdfast on mn1. Alarm 12034, major, raised 2026-11-24T02:13:05Z, notice n-1.
All that is up now: holdfast alarm list
`);
});
