/** Notices a peer that vanished without a farewell (cut cable, dead machine): it answers no ping. */
import type { Http2Session } from 'node:http2';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';

/** Pings for as long as the session lives; destroys it with UNAVAILABLE when no answer came within `silenceMs`. */
export function keepAlive(session: Http2Session, peer: string, silenceMs: number, clock: Clock): void {
  const ended = new AbortController();
  session.once('close', () => ended.abort());
  const pings = async () => {
    while (!session.destroyed) {
      await clock.sleep(silenceMs / 3, ended.signal);
      if (!(await answers(session, silenceMs, clock, ended.signal))) {
        session.destroy(
          new AppError('UNAVAILABLE', `${peer} has not answered for ${silenceMs / 1000} s: the line counts as cut`),
        );
      }
    }
  };
  // The only end of the loop is the session's own.
  pings().catch(() => undefined);
}

async function answers(session: Http2Session, silenceMs: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const waiting = new AbortController();
  const pong = new Promise<boolean>((resolve) => {
    if (!session.ping((error) => resolve(error === null))) resolve(false);
  });
  try {
    return await Promise.race([pong, clock.sleep(silenceMs, AbortSignal.any([signal, waiting.signal])).then(() => false)]);
  } finally {
    waiting.abort();
  }
}
