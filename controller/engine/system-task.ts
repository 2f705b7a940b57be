/** The task `default`, which exists from the start: what an operator changed of it stays. */
import { anchorNow, nextStart } from '#rules/schedule.ts';
import type { Task } from '../model.ts';
import { calendar } from './calendar.ts';
import type { EngineIo } from './engine-io.ts';

const NAME = 'default';

export async function createSystemTask(io: EngineIo): Promise<void> {
  const { enabled, period, copies, sources } = io.config.defaultTask;
  if (!enabled) return;
  const now = io.clock.now();
  await io.change(async (change) => {
    if ((await change.task(NAME)) !== undefined) return;
    const schedule = { kind: 'periodic', startMs: anchorNow(now, period), periodMs: period } as const;
    const task: Task = {
      name: NAME,
      createdMs: now,
      system: true,
      sources: sources.map((source) => ({ source, databases: [], nameService: '' })),
      retention: { copies, keepMs: undefined, daily: 0, weekly: 0, monthly: 0 },
      schedule,
      whenLate: 'postpone',
      wantedAgeMs: undefined,
      locked: false,
      lockedMs: undefined,
      nextStartMs: nextStart({ schedule, locked: false }, now, calendar),
      lastRunId: undefined,
      lastStartedMs: undefined,
    };
    await change.putTask(task);
    change.after(() => io.log.info({ task: NAME, periodMs: period, sources }, 'system task made'));
  });
}
