/** From the time that a task is due to the Assign in the hands of its agent, for task after task. */
import type { ChildProcess } from 'node:child_process';
import { systemClock, withTimeout } from '#common/clock.ts';
import { WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { AdminServiceClient, TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy } from '#common/gen/holdfast/v1/types.ts';
import { SOURCE_NAMES } from '#common/names.ts';
import type { AgentsSaid } from './controller-agents.ts';
import { answerOf } from './controller-calls.ts';
import { TASKS, taskName } from './controller-records.ts';
import { COPIES } from './controller-records.ts';

/** The first is due when all are told. */
const AHEAD_MS = 10_000;
/** One after another: a run ends before the next task is due, or the queue would be measured. No multiple of the controller's tick. */
const SPACING_MS = 237;
const DAY_S = 86_400n;
const LONGEST_MS = 180_000;

/** Milliseconds of each Assign: as many as the tasks have sources. */
export async function measureDue(client: AdminServiceClient, agents: ChildProcess): Promise<readonly number[]> {
  const first = systemClock.now() + AHEAD_MS;
  const due = new Map(Array.from({ length: TASKS }, (_, number) => [taskName(number), first + number * SPACING_MS]));
  const delays: number[] = [];
  const expected = TASKS * SOURCE_NAMES.length;
  const late = withTimeout(LONGEST_MS, new AbortController().signal);
  const all = new Promise<void>((resolve, reject) => {
    late.addEventListener('abort', () => reject(new Error(`${delays.length} of ${expected} assignments came`)), { once: true });
    agents.on('message', (said: AgentsSaid) => {
      if (said.kind !== 'assigned') return;
      delays.push(said.atMs - (due.get(said.task) ?? Number.NaN));
      if (delays.length === expected) resolve();
    });
  });
  for (const [name, startMs] of due) {
    await answerOf((done) => client.modifyTask({ requestId: '', spec: specOf(name, startMs) }, done));
  }
  if (systemClock.now() > first) throw new Error('the tasks were not told in time when they are due');
  await all;
  return delays;
}

function specOf(name: string, startMs: number): TaskSpec {
  const policy = BackupPolicy.BACKUP_POLICY_FULL;
  return {
    name,
    sources: [
      { policy, kind: { $case: 'oms', value: {} } },
      { policy, kind: { $case: 'ldapServer', value: {} } },
      { policy, kind: { $case: 'dbService', value: { databases: [] } } },
      { policy, kind: { $case: 'nameNode', value: { nameService: '' } } },
    ],
    target: { pathType: { $case: 'localDir', value: {} } },
    copies: COPIES,
    mode: { $case: 'periodic', value: { startMs: BigInt(startMs), periodSeconds: DAY_S } },
    whenLate: WhenLate.WHEN_LATE_POSTPONE,
    retention: undefined,
    wantedAgeSeconds: 0n,
  };
}
