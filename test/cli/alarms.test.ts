import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '#common/errors.ts';
import { DeliveryState } from '#common/gen/holdfast/v1/admin.ts';
import type { Alarm, AlarmDelivery } from '#common/gen/holdfast/v1/admin.ts';
import { startFake } from './fake-controller.ts';
import type { FakeController } from './fake-controller.ts';
import { AT } from './samples.ts';

let fake: FakeController;
beforeAll(async () => {
  fake = await startFake();
});
afterAll(() => fake[Symbol.asyncDispose]());

const delivery = (state: DeliveryState, change: Partial<AlarmDelivery> = {}): AlarmDelivery => ({
  channel: 'webhook/ops',
  ofClearing: false,
  state,
  failedAttempts: 0,
  nextMs: 0n,
  endedMs: AT,
  fault: undefined,
  ...change,
});

const alarm = (deliveries: AlarmDelivery[]): Alarm => ({
  id: 12063,
  name: 'Agent lost',
  severity: 'major',
  subject: 'dn1',
  detail: 'the agent of dn1 is not connected',
  raisedMs: AT,
  clearedMs: 0n,
  deliveries,
});

describe('alarm list', () => {
  test('says of each alarm whether those who are to be told were, and with --json why not', async () => {
    const refused = { code: 'REFUSED', message: 'no such room', hint: 'look' };
    const deliveries = [
      delivery(DeliveryState.DELIVERY_STATE_DELIVERED),
      delivery(DeliveryState.DELIVERY_STATE_DELIVERED, { channel: 'snmp/nms' }),
      delivery(DeliveryState.DELIVERY_STATE_GIVEN_UP, { channel: 'email/x/a@example.org', failedAttempts: 1, fault: refused }),
    ];
    fake.answers = { listAlarms: () => ({ alarms: [alarm(deliveries), alarm([])], nextPageToken: '' }) };
    const { out } = await fake.run('alarm', 'list', '--history');
    expect(fake.requests.get('listAlarms')?.at(-1)).toMatchObject({ history: true });
    const [, told, nobody] = out.split('\n');
    expect(told).toContain('2 delivered, 1 given up');
    expect(nobody).toMatch(/ - +the agent of dn1/);
    const json = JSON.parse((await fake.run('alarm', 'list', '--json')).out) as { deliveries: unknown[] }[];
    expect(json[0]?.deliveries[2]).toEqual({
      channel: 'email/x/a@example.org',
      ofClearing: false,
      state: 'given up',
      failedAttempts: 1,
      next: null,
      ended: '2026-11-24T09:30:00Z',
      fault: refused,
    });
  });
});

describe('alarm test', () => {
  test('ends well when every channel took the notice', async () => {
    fake.answers = { testAlarms: () => ({ channels: [{ channel: 'webhook/ops', failed: undefined }] }) };
    const { status, out } = await fake.run('alarm', 'test');
    expect([status, out.split('\n')[1]]).toEqual([0, 'webhook/ops  delivered  -']);
  });

  test('ends with 5 when one did not, and says why and what to do', async () => {
    const failed = { code: 'TIMEOUT', message: 'no answer', hint: 'compare the community' };
    fake.answers = { testAlarms: () => ({ channels: [{ channel: 'snmp/nms', failed }] }) };
    const { status, out, err } = await fake.run('alarm', 'test');
    expect(status).toBe(5);
    expect(out).toContain('snmp/nms  no answer  compare the community');
    expect(err).toContain('error: the test notice was not taken by snmp/nms');
    expect(JSON.parse((await fake.run('alarm', 'test', '--json')).out)).toEqual([{ channel: 'snmp/nms', failed }]);
  });

  test('says so when nobody is to be told', async () => {
    fake.answers = { testAlarms: () => ({ channels: [] }) };
    expect((await fake.run('alarm', 'test')).err).toContain('nobody is told of alarms');
  });
});

describe('agent forget', () => {
  test('needs a yes where nobody can be asked', async () => {
    fake.answers = {};
    expect(await fake.run('agent', 'forget', 'dn1')).toMatchObject({ status: 4, out: '' });
    expect(fake.requests.get('forgetAgent')).toBeUndefined();
  });

  test('asks the controller once, with a request id', async () => {
    fake.answers = { forgetAgent: () => ({}) };
    expect((await fake.run('agent', 'forget', 'dn1', '--yes', '--json')).out).toContain('"forgotten": "dn1"');
    expect(fake.requests.get('forgetAgent')).toEqual([{ requestId: expect.stringMatching(/.{8}/) as string, node: 'dn1' }]);
  });

  test('shows why it was refused', async () => {
    fake.answers = {
      forgetAgent: () => {
        throw new AppError('REFUSED', 'it is connected', { hint: 'Stop it first.' });
      },
    };
    expect(await fake.run('agent', 'forget', 'dn1', '--yes')).toMatchObject({
      status: 4,
      err: 'error: it is connected\nnext: Stop it first.\n',
    });
  });
});
