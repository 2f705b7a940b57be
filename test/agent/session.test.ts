import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { Assign, Finished, Hello } from '#common/gen/holdfast/v1/agent.ts';
import { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import { openSession } from '../../agent/session/session.ts';
import type { SessionOptions } from '../../agent/session/session.ts';
import { certificateOf } from '../vault/test-vault.ts';
import { startScriptedController } from './scripted-controller.ts';

const tls = await certificateOf('dn1');
const hello = Hello.fromPartial({ node: 'dn1' });
const ended = (assignmentId: string) => Finished.fromPartial({ assignmentId });

function openTestSession(address: string, changes: Partial<SessionOptions> = {}) {
  const said: string[] = [];
  const acknowledged: string[] = [];
  const session = openSession({
    addresses: [address],
    tls,
    clock: systemClock,
    log: pino({}, { write: (line: string) => void said.push(line) }),
    hello: () => Promise.resolve(hello),
    unacknowledged: () => Promise.resolve([]),
    heartbeat: () => Promise.resolve({ host: HostFacts.fromPartial({}), vault: undefined }),
    onAssign: () => Promise.resolve(),
    onCancel: () => undefined,
    onAcknowledged: (id) => Promise.resolve(void acknowledged.push(id)),
    ...changes,
  });
  return { ...session, said, acknowledged, [Symbol.asyncDispose]: () => session.stop() };
}

describe('the line to the controller', () => {
  test('is dialled again when the controller ends it, and what is not acknowledged is told again', async () => {
    await using controller = await startScriptedController({ acknowledges: false });
    await using _session = openTestSession(controller.address, { unacknowledged: () => Promise.resolve([ended('a1')]) });
    await controller.hear('finished');
    controller.lines[0]?.end();
    await controller.hear('hello', 2);
    await controller.hear('finished', 2);
  });

  test('is dialled again when the controller does not answer Hello', async () => {
    await using controller = await startScriptedController({ welcomes: false });
    await using session = openTestSession(controller.address, { welcomeMs: 300 });
    await controller.hear('hello', 2);
    expect(session.said.join('')).toContain('did not answer Hello');
  });

  test('is dialled again when the controller says what is no message', async () => {
    let nonsense = true;
    await using controller = await startScriptedController({ nonsense: () => nonsense });
    await using session = openTestSession(controller.address);
    await controller.hear('hello');
    nonsense = false;
    await controller.hear('heartbeat');
    expect(session.said.join('')).toContain('no line to the controller');
  });

  test('is dialled again although the last heartbeat hangs', async () => {
    await using controller = await startScriptedController();
    await using _session = openTestSession(controller.address, { heartbeat: () => new Promise(() => undefined) });
    await controller.hear('hello');
    controller.lines[0]?.end();
    await controller.hear('hello', 2);
  });

  test('is not opened to one who has an agent certificate of this very host', async () => {
    await using controller = await startScriptedController({ role: 'agent' });
    await using session = openTestSession(controller.address);
    await vi.waitFor(() => expect(session.said.join('')).toContain('not by a controller'), { timeout: 10_000 });
    expect(controller.lines).toEqual([]);
  });

  test('that refuses an assignment by an error is dialled again', async () => {
    await using controller = await startScriptedController();
    await using session = openTestSession(controller.address, { onAssign: () => Promise.reject(new Error('the disk is gone')) });
    await controller.hear('heartbeat');
    controller.assign(Assign.fromPartial({ assignmentId: 'a1' }));
    await controller.hear('hello', 2);
    expect(session.said.join('')).toContain('the disk is gone');
  });

  test('takes no nonsensical pace for heartbeats', async () => {
    const pauses: number[] = [];
    await using controller = await startScriptedController({ heartbeatSeconds: 2 ** 31 - 1 });
    const clock = {
      ...systemClock,
      sleep: (ms: number, signal: AbortSignal) => {
        pauses.push(ms);
        return systemClock.sleep(ms, signal);
      },
    };
    await using _session = openTestSession(controller.address, { clock });
    await controller.hear('heartbeat');
    await vi.waitFor(() => expect(pauses).toHaveLength(1));
    // More than 2^31 - 1 ms and a timer fires at once, again and again.
    expect(pauses[0]).toBeLessThan(2 ** 31);
  });

  test('that takes nothing does not fill the memory with lines of logs', async () => {
    await using controller = await startScriptedController({ heartbeatSeconds: 3600 });
    await using session = openTestSession(controller.address);
    await controller.hear('heartbeat');
    controller.lines[0]?.pause();
    const message = 'x'.repeat(1000);
    for (let line = 0; line < 20_000; line++) {
      session.log({ $case: 'log', value: { assignmentId: 'a1', attempt: 1, timeMs: 0n, level: 'info', message } });
    }
    session.finished(ended('a1'));
    controller.lines[0]?.resume();
    await controller.hear('finished');
    expect(controller.all('log').length).toBeLessThan(2000);
  });
});

describe('stopping', () => {
  test('waits until the last end is acknowledged', async () => {
    await using controller = await startScriptedController();
    const session = openTestSession(controller.address);
    await controller.hear('heartbeat');
    session.finished(ended('a1'));
    await session.stop();
    expect(session.acknowledged).toEqual(['a1']);
  });

  test('does not wait long for a controller that acknowledges nothing', async () => {
    await using controller = await startScriptedController({ acknowledges: false });
    const session = openTestSession(controller.address);
    await controller.hear('heartbeat');
    session.finished(ended('a1'));
    const from = systemClock.monotonic();
    await session.stop();
    expect(systemClock.monotonic() - from).toBeLessThan(10_000);
    expect(controller.ends()).toHaveLength(1);
  });

  test('waits for nobody while Hello is being made, and leaves no line open', async () => {
    await using controller = await startScriptedController();
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Hello>();
    const session = openTestSession(controller.address, {
      hello: () => {
        asked.resolve();
        return answer.promise;
      },
    });
    await asked.promise;
    await session.stop();
    answer.resolve(hello);
    expect(controller.lines).toEqual([]);
  });
});
