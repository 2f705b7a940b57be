import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadControllerConfig } from '../../controller/config.ts';
import { openPlace } from './samples.ts';
import type { Place } from './samples.ts';

const CONTROLLER = `listen: { host: 127.0.0.1, port: 9443 }
tls: { ca: ca.crt, cert: c.crt, key: c.key }
stateDirectory: state
grantSigningKey: grant.key
managementNodes: { active: mn1 }
`;

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(() => place[Symbol.asyncDispose]());

const load = async (alarms: string) =>
  (await loadControllerConfig(await place.file('controller.yaml', CONTROLLER + alarms))).alarms;

describe('the alarms section of controller.yaml', () => {
  test('may be absent: alarms are told of by nobody but the command line', async () => {
    expect(await load('')).toEqual({ webhooks: [], email: [], snmp: [] });
  });

  test('has defaults that are safe, and files beside the configuration', async () => {
    const alarms = await load(`alarms:
  webhooks:
    - { name: ops, url: "https://hooks.example.org/x", ca: hooks.crt, bearerTokenFile: secrets/token }
  email:
    - name: oncall
      host: relay.example.org
      login: { user: holdfast, passwordFile: /etc/holdfast/secrets/smtp }
      from: holdfast@example.org
      to: [oncall@example.org, lead@example.org]
  snmp:
    - { name: nms, host: nms.example.org, version: "2c", communityFile: secrets/community }
    - { name: nms3, host: nms.example.org, version: "3", user: holdfast, authenticationPasswordFile: a, privacyPasswordFile: p }
`);
    const at = (path: string) => join(place.directory, path);
    expect(alarms.webhooks).toEqual([
      {
        name: 'ops',
        url: 'https://hooks.example.org/x',
        ca: at('hooks.crt'),
        bearerTokenFile: at('secrets/token'),
        timeout: 10_000,
      },
    ]);
    expect(alarms.email[0]).toMatchObject({ port: 587, security: 'starttls', timeout: 30_000 });
    expect(alarms.email[0]?.login?.passwordFile).toBe('/etc/holdfast/secrets/smtp');
    expect(alarms.snmp).toMatchObject([
      { port: 162, send: 'inform', communityFile: at('secrets/community') },
      { port: 162, authentication: 'SHA-256', privacy: 'AES', authenticationPasswordFile: at('a'), privacyPasswordFile: at('p') },
    ]);
  });

  test('with faults is refused whole, each with its line', async () => {
    const faults = load(`alarms:
  webhooks:
    - name: ops
      url: http://hooks.example.org/x
      bearerTokenFile: token
    - name: ops
      url: ftp://hooks.example.org
      timeout: soon
  email:
    - name: oncall
      host: relay.example.org
      security: none
      login: { user: holdfast, passwordFile: p, password: secret }
      from: nobody
      to: []
  snmp:
    - name: nms
      host: nms.example.org
      version: "1"
    - name: nms3
      host: nms.example.org
      version: "3"
      communityFile: c
`);
    const message = await faults.then(
      () => 'accepted',
      (error: unknown) => String(error),
    );
    // The five lines before the section count.
    for (const fault of [
      ':12: alarms.webhooks.1.url: must be a URL that begins with https:// or http://',
      ':13: alarms.webhooks.1.timeout: "soon" is not a duration',
      ':18: alarms.email.0.login.password: unknown field',
      ':19: alarms.email.0.from: must be a mail address',
      ':20: alarms.email.0.to:',
      ':24: alarms.snmp.0.version:',
      ':28: alarms.snmp.1.communityFile: unknown field',
      ':25: alarms.snmp.1.user:',
    ]) {
      expect(message).toContain(`controller.yaml${fault}`);
    }
  });

  test.each([
    [
      'a token without TLS',
      '  webhooks: [{ name: a, url: "http://h/", bearerTokenFile: t }]',
      'must be https when a token is sent',
    ],
    [
      'a password without TLS',
      '  email: [{ name: a, host: h, security: none, login: { user: u, passwordFile: p }, from: a@example.org, to: [b@example.org] }]',
      'must be starttls or tls when a password is sent',
    ],
    [
      'an address twice',
      '  email: [{ name: a, host: h, from: a@example.org, to: [b@example.org, b@example.org] }]',
      'names an address twice',
    ],
    [
      'a name twice',
      '  snmp: [{ name: a, host: h, version: "2c", communityFile: c }, { name: a, host: i, version: "2c", communityFile: c }]',
      'alarms.snmp.1.name: "a" is there twice',
    ],
  ])('with %s is refused', async (_, section, fault) => {
    await expect(load(`alarms:\n${section}\n`)).rejects.toThrow(fault);
  });
});
