/** For `holdfast alarm test`: a marked notice over every channel at once, no queue, no second attempt; the answer says how each went. */
import { randomUUID } from 'node:crypto';
import type { AppError } from '#common/errors.ts';
import { toAppError } from '#common/errors.ts';
import type { Channel, Notice } from './channel.ts';

export interface ChannelAnswer {
  readonly channel: string;
  /** Undefined: taken by the receiver. */
  readonly error: AppError | undefined;
}

export async function testChannels(
  channels: readonly Channel[],
  test: { readonly origin: string; readonly nowMs: number },
  signal: AbortSignal,
): Promise<ChannelAnswer[]> {
  const notice = testNotice(test.origin, test.nowMs);
  return Promise.all(
    channels.map(async (channel) => ({
      channel: channel.name,
      error: await channel.deliver(notice, signal).then(
        () => undefined,
        (error: unknown) => toAppError(error, `send the test notice by ${channel.name}`),
      ),
    })),
  );
}

function testNotice(origin: string, nowMs: number): Notice {
  return {
    kind: 'test',
    id: randomUUID(),
    alarm: { id: 0, name: 'Test of the delivery of alarms', severity: 'info' },
    subject: origin,
    detail: 'This is a test, sent by `holdfast alarm test`. Nothing is wrong.',
    next: 'Nothing to do.',
    origin,
    raisedMs: nowMs,
  };
}
