/** Answers of a controller, whole, with parts to replace. */
import type { BackupFileSet, Run, Task } from '#common/gen/holdfast/v1/admin.ts';
import { RunKind, SetState, TaskState, Trigger, WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy, RunState } from '#common/gen/holdfast/v1/types.ts';

/** 2026-11-24T09:30:00Z */
export const AT = 1_795_512_600_000n;

export function task(change: Partial<Task> = {}): Task {
  return {
    spec: {
      name: 'nightly',
      sources: [
        { policy: BackupPolicy.BACKUP_POLICY_FULL, kind: { $case: 'oms', value: {} } },
        { policy: BackupPolicy.BACKUP_POLICY_FULL, kind: { $case: 'dbService', value: { databases: ['hivemeta'] } } },
      ],
      target: { pathType: { $case: 'localDir', value: {} } },
      copies: 3,
      mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 86_400n } },
      whenLate: WhenLate.WHEN_LATE_POSTPONE,
      retention: undefined,
      wantedAgeSeconds: 0n,
    },
    createdMs: AT,
    state: TaskState.TASK_STATE_READY,
    locked: false,
    nextStartMs: AT + 86_400_000n,
    lastRunId: '',
    system: false,
    lockedSinceMs: 0n,
    ...change,
  };
}

export function run(state: RunState, change: Partial<Run> = {}): Run {
  return {
    id: 'r1',
    kind: RunKind.RUN_KIND_BACKUP,
    task: 'nightly',
    state,
    trigger: Trigger.TRIGGER_MANUAL,
    createdMs: AT,
    startedMs: AT,
    endedMs: AT + 65_000n,
    progress: undefined,
    sources: [
      {
        source: 'OMS',
        node: 'dn1',
        state,
        progress: {
          phase: 'store',
          doneBytes: 250_000_000n,
          totalBytes: 1_000_000_000n,
          bytesPerSecond: 50_000_000n,
          estimatedEndMs: 0n,
        },
        fault: undefined,
        file: undefined,
        startedMs: AT,
        endedMs: AT + 65_000n,
      },
    ],
    fault: undefined,
    setId: 's1',
    queuePosition: 0,
    ...change,
  };
}

export function set(change: Partial<BackupFileSet> = {}): BackupFileSet {
  return {
    id: 's1',
    task: 'nightly',
    runId: 'r1',
    createdMs: AT,
    state: SetState.SET_STATE_COMPLETE,
    files: [
      {
        source: 'OMS',
        archive: { key: 'nightly_20261124093000/OMS_20261124093000/a.tar.zst', sizeBytes: 5_000_000_000n, sha256: 'ab' },
        index: { key: 'i', sizeBytes: 1n, sha256: 'cd' },
        manifest: { key: 'm', sizeBytes: 1n, sha256: 'ef' },
        entries: 12n,
        contentBytes: 9_007_199_254_740_993n,
      },
    ],
    nodes: ['mn1', 'mn2'],
    verifiedMs: 0n,
    productVersion: '0.1.0',
    missingSources: [],
    damaged: [],
    pinned: false,
    ...change,
  };
}
