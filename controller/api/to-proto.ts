/** What the controller knows → messages of the API. */
import { DeliveryState, TaskState, RunKind, SetState, Trigger, WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type {
  Agent as AgentMessage,
  Alarm as AlarmMessage,
  AlarmDelivery,
  BackupFileSet,
  NodeSpace,
  Restore as RestoreMessage,
  Run as RunMessage,
  SourceRun as SourceRunMessage,
  Task as TaskMessage,
  TaskSpec,
} from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy, RunState } from '#common/gen/holdfast/v1/types.ts';
import type { Progress } from '#common/gen/holdfast/v1/types.ts';
import { alarmOf } from '#rules/alarms.ts';
import type { ControllerConfig } from '../config.ts';
import { sumProgress } from '../engine/progress.ts';
import { fileMessage, restoreOptionsMessage, sourceMessage } from '../engine/messages.ts';
import { setStateOf } from '../engine/set-state.ts';
import { holdersOf } from '../model.ts';
import type { Alarm, BackupSet, Delivery, Restore, Run, SourceRun, Task } from '../model.ts';
import type { AgentFacts } from '../sessions/agent-facts.ts';

const RUN_STATES: Readonly<Record<Run['state'], RunState>> = {
  waiting: RunState.RUN_STATE_WAITING,
  running: RunState.RUN_STATE_RUNNING,
  successful: RunState.RUN_STATE_SUCCESSFUL,
  failed: RunState.RUN_STATE_FAILED,
  stopped: RunState.RUN_STATE_STOPPED,
  skipped: RunState.RUN_STATE_SKIPPED,
};
/** A task that was skipped is as ready as before. */
const TASK_STATES: Readonly<Record<Run['state'], TaskState>> = {
  waiting: TaskState.TASK_STATE_WAITING,
  running: TaskState.TASK_STATE_RUNNING,
  successful: TaskState.TASK_STATE_SUCCESSFUL,
  failed: TaskState.TASK_STATE_FAILED,
  stopped: TaskState.TASK_STATE_STOPPED,
  skipped: TaskState.TASK_STATE_READY,
};
const SET_STATES = {
  incomplete: SetState.SET_STATE_INCOMPLETE,
  degraded: SetState.SET_STATE_DEGRADED,
  complete: SetState.SET_STATE_COMPLETE,
  deleting: SetState.SET_STATE_DELETING,
} as const;
const DELIVERY_STATES = {
  waiting: DeliveryState.DELIVERY_STATE_WAITING,
  delivered: DeliveryState.DELIVERY_STATE_DELIVERED,
  givenUp: DeliveryState.DELIVERY_STATE_GIVEN_UP,
} as const;

const time = (ms: number | undefined) => BigInt(ms ?? 0);

/** What users see of a task: what its run does, else whether it is locked, else how the last one ended. */
export function taskMessage(task: Task, last: Run | undefined): TaskMessage {
  const { name, sources, retention, createdMs, locked, lockedMs, nextStartMs, lastRunId, system } = task;
  const open = last?.state === 'waiting' || last?.state === 'running';
  const ended = last === undefined ? TaskState.TASK_STATE_READY : TASK_STATES[last.state];
  return {
    spec: {
      name,
      sources: sources.map((source) => ({ ...sourceMessage(source), policy: BackupPolicy.BACKUP_POLICY_FULL })),
      target: { pathType: { $case: 'localDir', value: {} } },
      copies: retention.copies,
      mode: modeOf(task),
      whenLate: task.whenLate === 'run-once' ? WhenLate.WHEN_LATE_RUN_ONCE : WhenLate.WHEN_LATE_POSTPONE,
      retention: {
        keepSeconds: secondsOf(retention.keepMs),
        daily: retention.daily,
        weekly: retention.weekly,
        monthly: retention.monthly,
      },
      wantedAgeSeconds: secondsOf(task.wantedAgeMs),
    },
    createdMs: time(createdMs),
    state: locked && !open ? TaskState.TASK_STATE_LOCKED : ended,
    locked,
    nextStartMs: time(nextStartMs),
    lastRunId: lastRunId ?? '',
    system,
    lockedSinceMs: time(lockedMs),
  };
}

function modeOf({ schedule }: Task): TaskSpec['mode'] {
  switch (schedule.kind) {
    case 'manual':
      return { $case: 'manual', value: {} };
    case 'periodic':
      return { $case: 'periodic', value: { startMs: firstStart(schedule), periodSeconds: secondsOf(schedule.periodMs) } };
    case 'calendar':
      return { $case: 'calendar', value: { cron: schedule.cron, zone: schedule.zone } };
  }
}

/** An anchor of the first period is nobody's wish: see anchorNow. */
function firstStart({ startMs, periodMs }: { startMs: number; periodMs: number }): bigint {
  return startMs < periodMs ? 0n : BigInt(startMs);
}

function secondsOf(ms: number | undefined): bigint {
  return BigInt(Math.round((ms ?? 0) / 1000));
}

export function runMessage(run: Run, progressOf: (share: SourceRun) => Progress | undefined, queuePosition: number): RunMessage {
  const sources = run.sources.map((share) => sourceRunMessage(share, progressOf(share)));
  return {
    id: run.id,
    kind: run.kind === 'backup' ? RunKind.RUN_KIND_BACKUP : RunKind.RUN_KIND_RESTORE,
    task: run.task,
    state: RUN_STATES[run.state],
    trigger: run.trigger === 'manual' ? Trigger.TRIGGER_MANUAL : Trigger.TRIGGER_PERIOD,
    createdMs: time(run.createdMs),
    startedMs: time(run.startedMs),
    endedMs: time(run.endedMs),
    progress: sumProgress(sources.map(({ progress }) => progress)),
    sources,
    fault: run.fault,
    setId: run.setId,
    queuePosition,
  };
}

function sourceRunMessage(share: SourceRun, progress: Progress | undefined): SourceRunMessage {
  const { source, node, state, fault, file, startedMs, endedMs } = share;
  return {
    source,
    node,
    state: RUN_STATES[state],
    progress,
    fault,
    file: file && fileMessage(file),
    startedMs: time(startedMs),
    endedMs: time(endedMs),
  };
}

export function setMessage(set: BackupSet, config: ControllerConfig): BackupFileSet {
  return {
    id: set.id,
    task: set.task,
    runId: set.runId,
    createdMs: time(set.createdMs),
    state: SET_STATES[setStateOf(set, config)],
    files: set.files.map(({ file }) => fileMessage(file)),
    nodes: holdersOf(set),
    verifiedMs: time(set.verifiedMs),
    productVersion: set.productVersion,
    missingSources: [...set.missingSources],
    pinned: set.pinned,
    damaged: set.files.flatMap(({ file: { source }, damaged = [] }) => damaged.map((copy) => ({ source, ...copy }))),
  };
}

export function restoreMessage(restore: Restore, last: Run | undefined): RestoreMessage {
  const { name, setId, sources, options, createdMs, lastRunId } = restore;
  return {
    name,
    setId,
    sources: [...sources],
    options: restoreOptionsMessage(options),
    state: last === undefined ? TaskState.TASK_STATE_READY : TASK_STATES[last.state],
    createdMs: time(createdMs),
    lastRunId: lastRunId ?? '',
  };
}

export function agentMessage(facts: AgentFacts, role: string): AgentMessage {
  const { node, connected, version, sources, host, vault, lastSeenMs } = facts;
  return { node, connected, version, sources: [...sources], host, vault, managementRole: role, lastSeenMs: time(lastSeenMs) };
}

/** What an agent that is away last said of its space is not how things stand. */
export function spaceMessage({ node, connected, host, vault, lastSeenMs }: AgentFacts, managementRole: string): NodeSpace {
  const now = connected ? { vault: vault?.space, spool: host?.spool } : { vault: undefined, spool: undefined };
  return { node, managementRole, ...now, connected, lastSeenMs: time(lastSeenMs) };
}

export function alarmMessage(alarm: Alarm, deliveries: readonly Delivery[]): AlarmMessage {
  const { id, subject, detail, raisedMs, clearedMs } = alarm;
  return {
    id,
    ...alarmOf(id),
    subject,
    detail,
    raisedMs: time(raisedMs),
    clearedMs: time(clearedMs),
    deliveries: deliveries.map(deliveryMessage),
  };
}

function deliveryMessage({ notice, channel, state, attempts, nextMs, fault, endedMs }: Delivery): AlarmDelivery {
  return {
    channel,
    ofClearing: notice.kind === 'cleared',
    state: DELIVERY_STATES[state],
    failedAttempts: attempts,
    nextMs: state === 'waiting' ? time(nextMs) : 0n,
    endedMs: time(endedMs),
    fault,
  };
}
