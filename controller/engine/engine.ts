/**
 * The engine: looks at the world again and again, applies the rules, writes what they decide, and only then acts. Words of
 * agents and callers are hints that the next look should be at once; a missed hint costs one tick.
 */
import { toAppError } from '#common/errors.ts';
import { scheduleOf } from '#rules/schedule.ts';
import { watchStandby, watchThirdParty } from '../alarms/watch-state.ts';
import type { EngineIo } from './engine-io.ts';
import { givenOf } from './give-out.ts';
import { loseAgents } from './lose-agents.ts';
import { requestBackup } from './request-run.ts';
import { startNext } from './start-run.ts';
import { createUpkeep } from './upkeep.ts';

/** "Hourly check", as documented. */
const HOUR_MS = 3_600_000;
/** Long enough that no caller still repeats a request. */
const ANSWERS_KEPT_MS = 7 * 24 * HOUR_MS;

export interface Engine {
  hint(): void;
  stop(): Promise<void>;
}

export async function startEngine(io: EngineIo): Promise<Engine> {
  const stopping = new AbortController();
  const upkeep = createUpkeep(io);
  let wake = new AbortController();
  let hourlyAt: number | undefined;

  for (const run of await io.store.openRuns()) {
    for (const share of run.sources) {
      if (share.state === 'running') io.given.set(share.assignmentId, await givenOf(io.store, run, share));
    }
  }

  async function tick(): Promise<void> {
    await loseAgents(io);
    await startDue(io);
    await startNext(io);
    await upkeep.pass();
    await io.change((change) => watchStandby(change, io));
    if (hourlyAt === undefined || io.clock.monotonic() - hourlyAt >= HOUR_MS) {
      hourlyAt = io.clock.monotonic();
      await io.change(async (change) => {
        await watchThirdParty(change, io);
        await change.forgetAnswers(io.clock.now() - ANSWERS_KEPT_MS);
      });
    }
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      try {
        await tick();
      } catch (error) {
        io.log.error({ err: toAppError(error, 'tick of the engine') }, 'the engine failed; the next tick tries again');
      }
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

/** Periodic tasks whose time has come. */
async function startDue(io: EngineIo): Promise<void> {
  const now = io.clock.now();
  if (!(await io.store.tasks()).some(({ nextStartMs }) => nextStartMs !== undefined && nextStartMs <= now)) return;
  await io.change(async (change) => {
    const open = await change.openRuns();
    for (const task of await change.tasks()) {
      const decision = scheduleOf(
        { ...task, open: open.some(({ kind, task: name }) => kind === 'backup' && name === task.name) },
        now,
      );
      if (decision.kind === 'wait') continue;
      const moved = { ...task, nextStartMs: decision.next };
      if (decision.kind === 'start') await requestBackup(change, io, moved, 'period');
      else {
        await change.putTask(moved);
        change.after(() =>
          io.log.warn({ task: task.name, reason: decision.reason }, 'an automatic run moved to the next period'),
        );
      }
    }
  });
}
