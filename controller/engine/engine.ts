/**
 * The engine: looks at the world again and again, applies the rules, writes what they decide, and only then acts. Words of
 * agents and callers are hints that the next look should be at once; a missed hint costs one tick.
 */
import { toAppError } from '#common/errors.ts';
import { watchSpace } from '../alarms/watch-space.ts';
import { watchAgents, watchClock, watchStandby, watchTasks, watchThirdParty } from '../alarms/watch-state.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { recallAgents } from './known-agents.ts';
import { createLoser } from './lose-agents.ts';
import { startDue } from './start-due.ts';
import { createStarter } from './start-run.ts';
import { tellAgents } from './tell-agents.ts';
import { createUpkeep } from './upkeep.ts';

/** "Hourly check", as documented. */
const HOUR_MS = 3_600_000;
/** Long enough that no caller still repeats a request. */
const ANSWERS_KEPT_MS = 7 * 24 * HOUR_MS;
/** Notices that have arrived or were given up, to be looked at. */
const DELIVERIES_KEPT_MS = 30 * 24 * HOUR_MS;

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
  const recall = recallAgents(io);
  let due: number | undefined;

  /** In this order: what has ended makes room for what starts, what starts is given out. One that fails does not hold up the others. */
  const duties: Readonly<Record<string, () => Promise<void>>> = {
    'lose agents': () => loser.loseAgents(),
    'start what is due': async () => {
      // Should it fail, it is tried again at the next tick, and not at once.
      due = undefined;
      due = await startDue(io);
    },
    'start what waits': () => starter.startNext(),
    'tell agents': () => tellAgents(io),
    'keep up the vaults': () => upkeep.pass(),
    'watch the standby': () => watchStandby(io),
    'watch how things stand': every(io, io.config.watch.every, async (change) => {
      await watchTasks(change, io);
      await watchAgents(change, io);
      await watchSpace(change, io);
      await watchClock(change, io);
    }),
    'look hourly': every(io, HOUR_MS, async (change) => {
      await watchThirdParty(change, io);
      await change.forgetAnswers(io.clock.now() - ANSWERS_KEPT_MS);
      await change.forgetDeliveries(io.clock.now() - DELIVERIES_KEPT_MS);
    }),
  };

  /** Logged once for as long as it fails in the same way: a full disk is not told anew each second. */
  const failing = new Map<string, string>();
  async function attempt(duty: string, perform: () => Promise<void>): Promise<boolean> {
    try {
      await perform();
      failing.delete(duty);
      return true;
    } catch (caught) {
      const error = toAppError(caught, duty);
      if (failing.get(duty) === error.message) return false;
      failing.set(duty, error.message);
      io.log.error({ duty, err: error }, 'the engine failed in a duty; each tick tries again');
      return false;
    }
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      io.clockWatch.look();
      // Who decides without knowing its agents takes those that are away for gone.
      const mayDecide = (await io.leads()) && (await attempt('recall the agents', recall));
      for (const [duty, perform] of Object.entries(duties)) if (mayDecide) await attempt(duty, perform);
      // A tick is how late a word may be noticed; a time that is known is kept.
      const rest = Math.max(0, Math.min(io.config.tick, (due ?? Infinity) - io.clock.now()));
      await io.clock.sleep(rest, AbortSignal.any([stopping.signal, wake.signal])).catch(() => undefined);
    }
  }

  // Beside the loop: a receiver that hangs holds up no run.
  const delivering = io.notices.start(io);
  const looping = loop();
  const listening = io.listening.keep(stopping.signal);
  return {
    hint: () => wake.abort(),
    async stop() {
      stopping.abort();
      await Promise.all([looping, listening, delivering.stop()]);
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
