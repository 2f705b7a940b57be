/**
 * A clock that a history moves. Durations run some fifty times as fast as real ones, in equal small steps, each after the event loop has gone
 * round: a busy machine makes a history slower, never an agent late. The time of day can be set forward and back beside that.
 */
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';

const STEP_MS = 50;
const REAL_MS = 1;
/** Half of what a clock may differ by. */
const LEAP_MS = 150_000;

export interface ModelClock extends Clock, AsyncDisposable {
  /** Sets the time of day; durations are not touched. */
  set(by: number): void;
  /** The times of day that may have been read for what happens at this moment: a decision may be from just before the clock was set. */
  readings(): readonly number[];
  /** When it was last set by so much that deletions may wait for it, on the monotonic clock. */
  leaptAt(): number;
  /** As a process sees it: once `dead`, nothing that sleeps wakes up. */
  of(dead: AbortSignal, machine: string): Clock;
}

interface Sleeper {
  readonly until: number;
  readonly wake: () => void;
}

export function modelClock(): ModelClock {
  const stopping = new AbortController();
  const sleepers = new Set<Sleeper>();
  const started = systemClock.now();
  let steps = 0;
  let ahead = 0;
  let leapt = -Infinity;
  let before: { readonly ahead: number; readonly at: number } | undefined;

  const monotonic = () => steps * STEP_MS;
  const now = () => started + monotonic() + ahead;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await systemClock.sleep(REAL_MS, stopping.signal).catch(() => undefined);
      steps += 1;
      for (const sleeper of sleepers) if (sleeper.until <= monotonic()) sleeper.wake();
    }
  }
  const running = run();

  function sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const end = () => {
        sleepers.delete(sleeper);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        end();
        reject(signal.reason as Error);
      };
      const sleeper: Sleeper = {
        until: monotonic() + ms,
        wake() {
          end();
          resolve();
        },
      };
      sleepers.add(sleeper);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  return {
    machine: 'the world',
    now,
    monotonic,
    sleep,
    set(by) {
      before = { ahead, at: monotonic() };
      ahead += by;
      // Two that come between two looks count as one.
      if (Math.abs(by) > LEAP_MS) leapt = monotonic();
    },
    readings() {
      const recent = before !== undefined && monotonic() - before.at < 2000;
      return recent ? [now(), started + monotonic() + before!.ahead] : [now()];
    },
    leaptAt: () => leapt,
    of: (dead, machine) => ({
      machine,
      now,
      monotonic,
      sleep: (ms, signal) => (dead.aborted ? never(signal) : Promise.race([sleepWhileAlive(ms, signal, dead), never(signal)])),
    }),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };

  async function sleepWhileAlive(ms: number, signal: AbortSignal, dead: AbortSignal): Promise<void> {
    await sleep(ms, signal);
    if (dead.aborted) await never(signal);
  }
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
