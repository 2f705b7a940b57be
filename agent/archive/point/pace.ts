/** Holds a flow of bytes, of whatever many readers together, to a rate. */
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';

export interface Pace {
  /** Resolves when so many bytes more may have passed. Rejects with the signal's reason. */
  pass(bytes: number, signal: AbortSignal): Promise<void>;
}

/** What was not used may be caught up for so long: timers come late, by a millisecond at the least. */
const CATCH_UP_MS = 100;

/** undefined: no limit. */
export function createPace(bytesPerSecond: bigint | undefined, clock: Clock = systemClock): Pace {
  if (bytesPerSecond === undefined) return { pass: () => Promise.resolve() };
  const msPerByte = 1000 / Number(bytesPerSecond);
  /** When all that has passed has been paid for. */
  let paid = clock.monotonic();
  return {
    async pass(bytes, signal) {
      const now = clock.monotonic();
      paid = Math.max(paid, now - CATCH_UP_MS) + bytes * msPerByte;
      if (paid - now >= 1) await clock.sleep(paid - now, signal);
    },
  };
}
