/** Watches whether the clock can be trusted: deletions wait while it cannot. */
import type { Clock } from '#common/clock.ts';
import { clockDoubt } from '#rules/clock-doubt.ts';
import type { ClockEvidence } from '#rules/clock-doubt.ts';
import type { Limits } from '#rules/limits.ts';
import type { AgentFacts } from '../sessions/agent-facts.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Queries } from '../store/store.ts';

export interface ClockWatch {
  /** Once a tick: compares the wall clock with the steady one. */
  look(): void;
  /** Why the clock is not trusted; undefined: it is. */
  doubt(from: Pick<Queries, 'listRuns' | 'listSets'>): Promise<string | undefined>;
}

/** Not one of an earlier version. */
function tellsClock({ host }: AgentFacts): boolean {
  return host !== undefined && host.bootId !== '';
}

/** `nodes`: those with a vault. One on the controller's own machine has the very same clock, and confirms nothing. */
export function createClockWatch(
  clock: Clock,
  sessions: Pick<Sessions, 'facts' | 'factsOf'>,
  nodes: readonly string[],
  limits: Limits,
): ClockWatch {
  const offset = () => clock.now() - clock.monotonic();
  let last = offset();
  let jump = { byMs: 0, at: 0 };

  function look(): void {
    const moved = offset() - last;
    // Small steps are an NTP server's work; the tolerance is for what changes an order of days.
    if (Math.abs(moved) > limits.clockToleranceMs) jump = { byMs: moved, at: clock.monotonic() };
    last = offset();
  }

  function confirmation(): ClockEvidence['confirmation'] {
    const known = nodes.map((node) => sessions.factsOf(node));
    const confirms = (facts: AgentFacts | undefined) =>
      facts?.connected === true && tellsClock(facts) && !sharesClock(facts) && facts.lastHeardHost > jump.at;
    if (known.some(confirms)) return 'confirmed';
    return known.every(sharesClock) ? 'nobody' : 'possible';
  }

  /** One that was never heard, or does not tell, may be elsewhere. */
  function sharesClock(facts: AgentFacts | undefined): boolean {
    return facts?.host?.bootId === clock.machine;
  }

  return {
    look,
    async doubt(from) {
      // A run that ends between a jump and the next tick would prune by a clock that nobody has looked at.
      look();
      const newest = { size: 1, token: '' };
      const [runs, sets] = [await from.listRuns('', newest), await from.listSets('', newest)];
      const recorded = [
        ...runs.items.flatMap(({ createdMs, endedMs }) => [createdMs, endedMs ?? 0]),
        ...sets.items.map(({ createdMs }) => createdMs),
      ];
      const vaults = sessions
        .facts()
        .filter(({ connected, vault, host }) => connected && vault !== undefined && host !== undefined)
        .map(({ node, host, lastHeardHostMs }) => ({ node, aheadMs: Number(host?.clockMs ?? 0n) - lastHeardHostMs }));
      return clockDoubt(
        {
          now: clock.now(),
          latestRecordedMs: recorded.length === 0 ? undefined : Math.max(...recorded),
          vaults,
          jumpedMs: jump.byMs,
          sinceJumpMs: clock.monotonic() - jump.at,
          confirmation: confirmation(),
        },
        limits,
      );
    },
  };
}
