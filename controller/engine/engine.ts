/**
 * The engine: looks at the world again and again, applies the rules, writes what they decide, and only then acts. Words of
 * agents and callers are hints that the next look should be at once; a missed hint costs one tick.
 */
import { toAppError } from '#common/errors.ts';
import { watchAgents, watchClock, watchStandby, watchTasks, watchThirdParty } from '../alarms/watch-state.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { createLoser } from './lose-agents.ts';
import { startDue } from './start-due.ts';
import { createStarter } from './start-run.ts';
import { tellAgents } from './tell-agents.ts';
import { createUpkeep } from './upkeep.ts';

/** "Hourly check", as documented. */
const HOUR_MS = 3_600_000;
/** Long enough that no caller still repeats a request. */
const ANSWERS_KEPT_MS = 7 * 24 * HOUR_MS;

export interface Engine {
  hint(): void;
  stop(): Promise<void>;
}

export function startEngine(io: EngineIo): Engine {
  const stopping = new AbortController();
  let wake = new AbortController();
  const loser = createLoser(io);
  const starter = createStarter(io);
  const upkeep = createUpkeep(io);

  /** In this order: what has ended makes room for what starts, what starts is given out. One that fails does not hold up the others. */
  const duties: Readonly<Record<string, () => Promise<void>>> = {
    'lose agents': () => loser.loseAgents(),
    'start what is due': () => startDue(io),
    'start what waits': () => starter.startNext(),
    'tell agents': () => tellAgents(io),
    'keep up the vaults': () => upkeep.pass(),
    'watch the standby': () => watchStandby(io),
    'watch how things stand': every(io, io.config.watch.every, async (change) => {
      await watchTasks(change, io);
      await watchAgents(change, io);
      await watchClock(change, io);
    }),
    'look hourly': every(io, HOUR_MS, async (change) => {
      await watchThirdParty(change, io);
      await change.forgetAnswers(io.clock.now() - ANSWERS_KEPT_MS);
    }),
  };

  let tickedAt = io.clock.monotonic();
  /** A process that was paused (SIGSTOP, a machine put to sleep) heard nobody: that is no agent's fault. */
  function noticeOwnPause(): void {
    const now = io.clock.monotonic();
    if (now - tickedAt > io.config.lease / 2) io.listening.since = now;
    tickedAt = now;
  }

  /** Logged once for as long as it fails in the same way: a full disk is not told anew each second. */
  const failing = new Map<string, string>();
  async function attempt(duty: string, perform: () => Promise<void>): Promise<void> {
    try {
      await perform();
      failing.delete(duty);
    } catch (caught) {
      const error = toAppError(caught, duty);
      if (failing.get(duty) === error.message) return;
      failing.set(duty, error.message);
      io.log.error({ duty, err: error }, 'the engine failed in a duty; each tick tries again');
    }
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      noticeOwnPause();
      io.clockWatch.look();
      if (await io.leads()) for (const [duty, perform] of Object.entries(duties)) await attempt(duty, perform);
      await io.clock.sleep(io.config.tick, AbortSignal.any([stopping.signal, wake.signal])).catch(() => undefined);
    }
  }

  const looping = loop();
  return {
    hint: () => wake.abort(),
    async stop() {
      stopping.abort();
      await looping;
    },
  };
}

/** At the first tick, and again each time so long has passed since it was done. */
function every(io: EngineIo, ms: number, work: (change: Change) => Promise<void>): () => Promise<void> {
  let last: number | undefined;
  return async () => {
    const now = io.clock.monotonic();
    if (last !== undefined && now - last < ms) return;
    await io.change(work);
    last = now;
  };
}
