import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SnmpConfig } from '../../controller/alarms/delivery/config.ts';
import { snmpChannel } from '../../controller/alarms/delivery/snmp.ts';
import { snmpNotification } from '../../controller/alarms/delivery/snmp-objects.ts';
import { cleared, eventually, never, openPlace, raised } from './samples.ts';
import type { Place } from './samples.ts';
import { MIB_ENVIRONMENT, freeUdpPort, startSnmptrapd } from './snmptrapd.ts';
import type { SnmpManager } from './snmptrapd.ts';

const run = promisify(execFile);

let place: Place;
let manager: SnmpManager;
let files: Record<'community' | 'authentication' | 'privacy' | 'wrong' | 'short', string>;

beforeAll(async () => {
  place = await openPlace();
  manager = await startSnmptrapd({
    directory: place.directory,
    configuration: [
      'authCommunity log,execute,net backup-alarms',
      'createUser holdfast SHA-256 "authentic words" AES "private words"',
      'createUser older SHA "authentic words" AES "private words"',
      'authUser log,execute,net holdfast priv',
      'authUser log,execute,net older priv',
    ],
  });
  files = {
    community: await place.file('community', 'backup-alarms\n'),
    authentication: await place.file('authentication', 'authentic words\n'),
    privacy: await place.file('privacy', 'private words\n'),
    wrong: await place.file('wrong', 'not the password\n'),
    short: await place.file('short', 'short\n'),
  };
});
afterAll(async () => {
  await manager[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const v2c = (change: object = {}): SnmpConfig => ({
  name: 'nms',
  host: '127.0.0.1',
  port: manager.port,
  timeout: 3000,
  version: '2c',
  communityFile: files.community,
  send: 'inform',
  ...change,
});

const v3 = (change: object = {}): SnmpConfig => ({
  name: 'nms',
  host: '127.0.0.1',
  port: manager.port,
  timeout: 3000,
  version: '3',
  user: 'holdfast',
  authentication: 'SHA-256',
  authenticationPasswordFile: files.authentication,
  privacy: 'AES',
  privacyPasswordFile: files.privacy,
  ...change,
});

async function received(subject: string): Promise<string> {
  return eventually(() => {
    const line = manager.lines.find((text) => text.includes(`holdfastAlarmSubject.0 = ${subject}\t`));
    if (line === undefined) throw new Error(`nothing about ${subject} in ${manager.lines.join('\n')}`);
    return line;
  });
}

describe('snmptrapd', () => {
  test.each([
    ['a v2c inform', 'inform-2c', () => v2c()],
    ['a v2c trap', 'trap-2c', () => v2c({ send: 'trap' })],
    ['a v3 inform, SHA-256 and AES', 'inform-3', () => v3()],
    ['a v3 inform, SHA and AES', 'inform-3-older', () => v3({ user: 'older', authentication: 'SHA' })],
  ])('receives %s and names all of it by the MIB', async (_, subject, config) => {
    await snmpChannel(config()).deliver(raised({ subject }), never);
    const line = await received(subject);
    expect(line).toContain('holdfastAlarmRaisedNotification');
    expect(line).toContain('holdfastAlarmId.0 = 12034');
    expect(line).toContain('holdfastAlarmSeverity.0 = major');
    expect(line).toContain('2026-11-24T02:13:05Z');
    expect(line).toContain('pg_dump ended with 1');
    expect(line).not.toContain('enterprises');
  });

  test('receives the clearing', async () => {
    await snmpChannel(v3()).deliver(cleared({ subject: 'over' }), never);
    const line = await received('over');
    expect(line).toContain('holdfastAlarmClearedNotification');
    expect(line).toContain('2026-11-24T03:13:05Z');
  });

  test.each([
    ['user', () => v3({ user: 'stranger' }), 'Unknown User Name'],
    ['authentication password', () => v3({ authenticationPasswordFile: files.wrong }), 'Wrong Digest'],
    ['protocol', () => v3({ authentication: 'SHA-512' }), 'Wrong Digest'],
  ])('does not accept a wrong %s: a person must correct it', async (what, config, words) => {
    await expect(snmpChannel(config()).deliver(raised({ subject: `wrong ${what}` }), never)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(words) as string,
    });
    expect(manager.lines.filter((line) => line.includes(`wrong ${what}`))).toEqual([]);
  });

  test.each([
    ['community', () => v2c({ communityFile: files.wrong, timeout: 600 })],
    ['privacy password', () => v3({ privacyPasswordFile: files.wrong, timeout: 600 })],
  ])('drops a wrong %s without an answer: it is tried again, and the hint says what may be wrong', async (what, config) => {
    await expect(snmpChannel(config()).deliver(raised({ subject: `wrong ${what}` }), never)).rejects.toMatchObject({
      code: 'TIMEOUT',
      hint: expect.stringContaining(`the ${what}`) as string,
    });
    expect(manager.lines.filter((line) => line.includes(`wrong ${what}`))).toEqual([]);
  });
});

describe('an SNMP manager', () => {
  test('that is down does not answer', async () => {
    const port = await freeUdpPort();
    await expect(snmpChannel(v2c({ port, timeout: 300 })).deliver(raised(), never)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(snmpChannel(v3({ port, timeout: 300 })).deliver(raised(), never)).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('that answers nonsense does no harm', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.on('message', (message, { port, address }) => {
      for (const part of ['no SNMP at all', '', message.subarray(0, 20)]) socket.send(part, port, address);
    });
    const { port } = socket.address();
    await expect(snmpChannel(v2c({ port, timeout: 300 })).deliver(raised(), never)).rejects.toMatchObject({ code: 'TIMEOUT' });
    socket.close();
  });

  test('whose name is unknown is unavailable', async () => {
    await expect(snmpChannel(v2c({ host: 'nms.invalid' })).deliver(raised(), never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  test('is left at once when stopped', async () => {
    const stop = new AbortController();
    const delivery = snmpChannel(v2c({ port: await freeUdpPort(), timeout: 60_000 })).deliver(raised(), stop.signal);
    stop.abort();
    await expect(delivery).rejects.toMatchObject({ code: 'STOPPED' });
  });

  test('is not asked with a password that no receiver takes', async () => {
    const config = v3({ privacyPasswordFile: files.short });
    await expect(snmpChannel(config).deliver(raised(), never)).rejects.toThrow('shorter than 8 characters');
  });
});

describe('the MIB', () => {
  const translate = async (oid: string) =>
    (await run('snmptranslate', [oid], { env: { ...process.env, ...MIB_ENVIRONMENT } })).stdout.trim();

  test('names every number that is sent', async () => {
    const sent = [raised(), cleared(), { ...raised(), kind: 'test' as const }].map(snmpNotification);
    expect(await Promise.all(sent.map(({ oid }) => translate(oid)))).toEqual([
      'HOLDFAST-MIB::holdfastAlarmRaisedNotification',
      'HOLDFAST-MIB::holdfastAlarmClearedNotification',
      'HOLDFAST-MIB::holdfastAlarmTestNotification',
    ]);
    const objects = sent[0]?.varbinds.map(({ oid }) => translate(oid)) ?? [];
    expect(await Promise.all(objects)).toEqual(
      ['Id', 'Name', 'Severity', 'Subject', 'Detail', 'Next', 'Origin', 'Raised', 'Ended', 'Notice'].map(
        (name) => `HOLDFAST-MIB::holdfastAlarm${name}.0`,
      ),
    );
  });

  test('has texts of at most 255 octets: longer ones are cut between characters', () => {
    const detail = snmpNotification(raised({ detail: `${'x'.repeat(251)}ééé` })).varbinds[4]?.value;
    expect(detail).toBe(`${'x'.repeat(251)}…`);
  });
});
