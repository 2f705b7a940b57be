/** A history as years of backups leave it: records like those of the engine, as large as theirs. */
import { diskTime } from '#common/clock.ts';
import type { StoredName } from '#common/manifest.ts';
import { SOURCE_NAMES, backupFileKeys } from '#common/names.ts';
import type { SourceName } from '#common/names.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import type { BackupFile, BackupSet, Run, Task } from '../../controller/model.ts';

export const TASKS = 200;
/**
 * A run has one result for each of its sources, and there are four kinds of them yet. The records of the history are made as large as
 * those of runs with ten, so that 100,000 runs hold 1,000,000 results.
 */
const RESULTS = 10;
const MINUTE_MS = 60_000;
/** Of each task, so many sets are kept. */
export const COPIES = 50;
const NODES = ['mn1', 'mn2'];
const TOPOLOGY = [...NODES, 'n0002', 'n0003'].map((node, index) => `${node}: ${SOURCE_NAMES[index]}`);

export const taskName = (number: number) => `bench_${String(number).padStart(3, '0')}`;

/** Never by itself: it is given its start when its time is measured. */
export function taskOf(number: number, runs: number, now: number): Task {
  const last = runs - TASKS + number;
  return {
    name: taskName(number),
    createdMs: now - (runs + 1) * MINUTE_MS,
    system: false,
    sources: SOURCE_NAMES.map((source) => ({ source, databases: [], nameService: '' })),
    retention: { copies: COPIES, keepMs: undefined, daily: 0, weekly: 0, monthly: 0 },
    schedule: { kind: 'manual' },
    whenLate: 'postpone',
    wantedAgeMs: undefined,
    locked: false,
    lockedMs: undefined,
    nextStartMs: undefined,
    lastRunId: last < 0 ? undefined : idOf('r', last, now - (runs - last) * MINUTE_MS),
    lastStartedMs: undefined,
    latestStartMs: now - (runs - last) * MINUTE_MS,
  };
}

/** The run `number` of `runs`, oldest first: one a minute until `now`, the tasks in turn. */
export function runOf(number: number, runs: number, now: number): Run {
  const startedMs = now - (runs - number) * MINUTE_MS;
  const task = taskOf(number % TASKS, runs, now);
  return {
    id: idOf('r', number, startedMs),
    kind: 'backup',
    task: task.name,
    trigger: 'period',
    state: 'successful',
    createdMs: startedMs,
    startedMs,
    endedMs: startedMs + 30_000,
    fault: undefined,
    setId: idOf('s', number, startedMs),
    sources: Array.from({ length: RESULTS }, (_, index) => {
      const source = SOURCE_NAMES[index % SOURCE_NAMES.length] ?? 'OMS';
      return {
        source,
        node: NODES[index % NODES.length] ?? '',
        state: 'successful',
        assignmentId: idOf('a', number * RESULTS + index, startedMs),
        attempt: 1,
        fault: undefined,
        file: fileOf(task, source, startedMs),
        storedOn: NODES,
        givenUp: false,
        startedMs,
        endedMs: startedMs + 30_000,
      };
    }),
    stopReason: undefined,
    startedFrom: task,
    topology: TOPOLOGY,
    productVersion: PRODUCT_VERSION,
  };
}

export function setOf(run: Run): BackupSet {
  const { setId, task, id, startedMs, sources, productVersion, topology } = run;
  return {
    id: setId,
    task,
    runId: id,
    createdMs: startedMs ?? 0,
    files: sources.flatMap(({ file, storedOn }) => (file === undefined ? [] : [{ file, nodes: storedOn }])),
    missingSources: [],
    pinned: false,
    deleting: undefined,
    verifiedMs: undefined,
    productVersion,
    topology,
  };
}

function fileOf(task: Task, source: SourceName, runStartedMs: number): BackupFile {
  const keys = backupFileKeys({ task: task.name, taskCreatedMs: task.createdMs, source, runStartedMs, version: PRODUCT_VERSION });
  const stored = (key: string, size: bigint): StoredName => ({ key, size, sha256: 'ab'.repeat(32) });
  return {
    source,
    manifest: stored(keys.manifest, 2_000n),
    archive: stored(keys.archive, 123_456_789n),
    index: stored(keys.index, 45_678n),
    entries: 321,
    contentBytes: 987_654_321n,
  };
}

function idOf(letter: string, number: number, ms: number): string {
  return `${letter}${diskTime(ms)}-${number.toString(16).padStart(8, '0')}`;
}
