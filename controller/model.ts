/**
 * What the controller knows, as plain data: the words of docs/design.md. Times are epoch milliseconds, sizes bytes.
 * What runs holds what is to be done; chores (delete, mirror, clear) are never stored, they follow from these records.
 */
import type { FaultShape } from '#common/errors.ts';
import type { SourceName } from '#common/names.ts';
import type { StoredName } from '#common/manifest.ts';
import type { VaultSample } from '#rules/conditions.ts';
import type { RetentionPolicy } from '#rules/retention.ts';
import type { RunState } from '#rules/run-state.ts';
import type { Schedule, WhenLate } from '#rules/schedule.ts';
import type { Notice } from './alarms/delivery/channel.ts';

/** One data source of a task, always backed up in full. */
export interface TaskSource {
  readonly source: SourceName;
  /** DBService: which databases; empty means every one the agent is configured for. */
  readonly databases: readonly string[];
  /** NameNode only; empty: the one the agent is configured for. */
  readonly nameService: string;
}

export interface Task {
  readonly name: string;
  readonly createdMs: number;
  /** The task `default`: exists from the start, is never deleted. */
  readonly system: boolean;
  readonly sources: readonly TaskSource[];
  readonly retention: RetentionPolicy;
  readonly schedule: Schedule;
  readonly whenLate: WhenLate;
  /** How old the newest good set may become before an alarm; undefined: two periods, or twice the longest gap of its calendar. */
  readonly wantedAgeMs: number | undefined;
  readonly locked: boolean;
  readonly lockedMs: number | undefined;
  /** undefined: never by itself. */
  readonly nextStartMs: number | undefined;
  readonly lastRunId: string | undefined;
  /** When the last automatic or manual run was started, for the rule of 120 s. */
  readonly lastStartedMs: number | undefined;
  /** The latest start that any run of it bears, whatever the clock said since: one after it is free. Absent: not known. */
  readonly latestStartMs?: number;
}

/** The share of one source in a run: at most one assignment. */
export interface SourceRun {
  readonly source: SourceName;
  readonly node: string;
  readonly state: RunState;
  readonly assignmentId: string;
  readonly attempt: number;
  readonly fault: FaultShape | undefined;
  readonly file: BackupFile | undefined;
  /** Nodes whose vault took the file. */
  readonly storedOn: readonly string[];
  /** Its agent was away for longer than the lease: what it says of it later no longer ends it. */
  readonly givenUp: boolean;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
}

export interface Run {
  readonly id: string;
  readonly kind: 'backup' | 'restore';
  /** The task's name, or the restore's. */
  readonly task: string;
  readonly trigger: 'manual' | 'period';
  readonly state: RunState;
  readonly createdMs: number;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  readonly fault: FaultShape | undefined;
  /** The set that a backup makes or a restore reads. */
  readonly setId: string;
  readonly sources: readonly SourceRun[];
  /** Someone wants it to end: no further source begins. */
  readonly stopReason: string | undefined;
  /** The task as it was when the run started: a modification takes effect at the next run. */
  readonly startedFrom: Task | undefined;
  /** "node: source, source" a line, when the run started. */
  readonly topology: readonly string[];
  /** Of the controller that started it: a part of the names of its files. */
  readonly productVersion: string;
}

export interface BackupFile {
  readonly source: SourceName;
  readonly manifest: StoredName;
  readonly archive: StoredName;
  readonly index: StoredName;
  readonly entries: number;
  readonly contentBytes: bigint;
}

/** A set that goes, in two phases: its manifests at once, so that nobody restores it any more; its bytes after a grace period. */
export interface Deleting {
  readonly sinceMs: number;
  /** Nodes whose vault has let go of the manifests. */
  readonly unlisted: readonly string[];
}

/** A backup file and the nodes whose vault holds it. */
export interface HeldFile {
  readonly file: BackupFile;
  readonly nodes: readonly string[];
  /** Copies that a verification found damaged: they are not among `nodes`, so that nothing counts on them. Absent: none. */
  readonly damaged?: readonly DamagedCopy[];
}

export interface DamagedCopy {
  readonly node: string;
  readonly fault: string;
}

export interface BackupSet {
  readonly id: string;
  readonly task: string;
  readonly runId: string;
  readonly createdMs: number;
  readonly files: readonly HeldFile[];
  readonly missingSources: readonly SourceName[];
  /** Kept beside the copies until it is unpinned. */
  readonly pinned: boolean;
  readonly deleting: Deleting | undefined;
  readonly verifiedMs: number | undefined;
  readonly productVersion: string;
  /** That of the run, compared at restore. */
  readonly topology: readonly string[];
}

/** The nodes whose vault holds every file of the set, sorted. */
export function holdersOf({ files }: BackupSet): string[] {
  const nodes = new Set(files.flatMap((held) => held.nodes));
  return [...nodes].filter((node) => files.every((held) => held.nodes.includes(node))).toSorted();
}

/** The nodes whose vault has a copy, sound or damaged. */
export function nodesWithCopy({ nodes, damaged = [] }: HeldFile): string[] {
  return [...new Set([...nodes, ...damaged.map(({ node }) => node)])];
}

/** The copy there is good, whatever was found before. */
export function withCopy(held: HeldFile, node: string): HeldFile {
  const damaged = (held.damaged ?? []).filter((copy) => copy.node !== node);
  return { file: held.file, nodes: [...new Set([...held.nodes, node])], ...(damaged.length > 0 && { damaged }) };
}

/** The copy there counts for nothing. */
export function withoutCopy(held: HeldFile, copy: DamagedCopy): HeldFile {
  const nodes = held.nodes.filter((node) => node !== copy.node);
  return { ...held, nodes, damaged: [...(held.damaged ?? []).filter(({ node }) => node !== copy.node), copy] };
}

export interface RestoreOptions {
  /** "from=to" each. */
  readonly renameDatabases: readonly string[];
  readonly directory: string;
  readonly otherVersion: boolean;
  readonly otherTopology: boolean;
}

export interface Restore {
  readonly name: string;
  readonly setId: string;
  /** Never empty: all of the set when none was named. */
  readonly sources: readonly SourceName[];
  readonly options: RestoreOptions;
  readonly createdMs: number;
  readonly lastRunId: string | undefined;
}

export interface Alarm {
  readonly id: number;
  /** What it is about: a task, a node. One alarm of an id and subject is up at a time. */
  readonly subject: string;
  readonly detail: string;
  readonly raisedMs: number;
  readonly clearedMs: number | undefined;
}

/** A notice of an alarm on its way to one channel, or at its end. */
export interface Delivery {
  readonly notice: Notice;
  readonly channel: string;
  readonly state: 'waiting' | 'delivered' | 'givenUp';
  /** Attempts that failed. */
  readonly attempts: number;
  /** The pauses between them, added up. */
  readonly pausedMs: number;
  /** While it waits: not before. */
  readonly nextMs: number;
  /** Of the last attempt that failed: why it waits still, or was given up. */
  readonly fault: FaultShape | undefined;
  /** When it was taken, or given up. */
  readonly endedMs: number | undefined;
}

/** A node whose agent has said Hello, as it did last. What it says between is not kept. */
export interface KnownAgent {
  readonly node: string;
  readonly sources: readonly string[];
  readonly version: string;
  readonly certificateEndsMs: number | undefined;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** How full a vault was. */
export interface SpaceRecord extends VaultSample {
  readonly node: string;
}

/** What an attempt that was given up may have left in vaults, to be cleared there when they are back. */
export interface Leftover {
  readonly runId: string;
  /** That of the clearing: fences the one given up. */
  readonly attempt: number;
  readonly prefix: string;
  readonly nodes: readonly string[];
}

export interface LogLine {
  readonly runId: string;
  readonly timeMs: number;
  readonly level: string;
  /** Empty: of the whole run. */
  readonly source: string;
  readonly message: string;
}
