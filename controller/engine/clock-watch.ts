/** Watches whether the clock can be trusted: deletions wait while it cannot. */
import type { Clock } from '#common/clock.ts';
import { clockDoubt } from '#rules/clock-doubt.ts';
import type { Limits } from '#rules/limits.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Queries } from '../store/store.ts';

export interface ClockWatch {
  /** Once a tick: compares the wall clock with the steady one. */
  look(): void;
  /** Why the clock is not trusted; undefined: it is. */
  doubt(from: Pick<Queries, 'listRuns' | 'listSets'>): Promise<string | undefined>;
}

export function createClockWatch(clock: Clock, sessions: Sessions, limits: Limits): ClockWatch {
  const offset = () => clock.now() - clock.monotonic();
  let last = offset();
  let jump = { byMs: 0, at: 0 };
  return {
    look() {
      const moved = offset() - last;
      // Small steps are an NTP server's work; the tolerance is for what changes an order of days.
      if (Math.abs(moved) > limits.clockToleranceMs) jump = { byMs: moved, at: clock.monotonic() };
      last = offset();
    },
    async doubt(from) {
      const newest = { size: 1, token: '' };
      const [runs, sets] = [await from.listRuns('', newest), await from.listSets('', newest)];
      const recorded = [
        ...runs.items.flatMap(({ createdMs, endedMs }) => [createdMs, endedMs ?? 0]),
        ...sets.items.map(({ createdMs }) => createdMs),
      ];
      const vaults = sessions
        .facts()
        .filter(({ connected, vault, host }) => connected && vault !== undefined && host !== undefined)
        .map(({ node, host, lastHeardHostMs, lastHeardHost }) => ({
          node,
          aheadMs: Number(host?.clockMs ?? 0n) - lastHeardHostMs,
          sinceJump: lastHeardHost > jump.at,
        }));
      return clockDoubt(
        {
          now: clock.now(),
          latestRecordedMs: recorded.length === 0 ? undefined : Math.max(...recorded),
          vaults,
          jumpedMs: jump.byMs,
        },
        limits,
      );
    },
  };
}
