/** How a history asks the API: each request under an id of its own, repeated when the controller died over it. */
import { BackupPolicy } from '#common/gen/holdfast/v1/types.ts';
import { WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import type { AdminApi } from '../controller/cluster.ts';
import type { TaskShape } from './actions.ts';
import { codeOf, isRefusal } from './controller-node.ts';
import type { Wish } from './transition.ts';
import type { World } from './world.ts';

type Ask = (api: AdminApi, requestId: string) => Promise<unknown>;

export async function expectCode(world: World, what: string, codes: readonly string[], ask: Ask): Promise<void> {
  const requestId = world.next('q');
  const answer = await world.controller.call((api) => ask(api, requestId));
  const code = codeOf(answer);
  if (!codes.includes(code))
    world.model.broken.push(`${what} was answered ${code}: ${isRefusal(answer) ? answer.details : 'done'}`);
}

export function nth<T>(all: readonly T[], which: number): T | undefined {
  return all.length === 0 ? undefined : all.at(-1 - (which % all.length));
}

export function wished(shape: TaskShape, locked: boolean): () => Wish {
  const { sources, copies, periodMinutes } = shape;
  const period = periodMinutes === 0 ? undefined : { startMs: undefined, ms: periodMinutes * 60_000 };
  return () => ({ sources, copies, period, locked });
}

export function specOf(name: string, { sources, copies, periodMinutes }: TaskShape): TaskSpec {
  return {
    name,
    copies,
    whenLate: WhenLate.WHEN_LATE_POSTPONE,
    retention: undefined,
    wantedAgeSeconds: 0n,
    target: { pathType: { $case: 'localDir', value: {} } },
    sources: sources.map((source) => ({
      policy: BackupPolicy.BACKUP_POLICY_FULL,
      kind: source === 'OMS' ? { $case: 'oms', value: {} } : { $case: 'ldapServer', value: {} },
    })),
    mode:
      periodMinutes === 0
        ? { $case: 'manual', value: {} }
        : { $case: 'periodic', value: { startMs: 0n, periodSeconds: BigInt(periodMinutes * 60) } },
  };
}
