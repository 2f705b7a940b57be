/**
 * What is asked of a data source that is too large to be dumped on this node: it is read where it lies, and each backup is a point that can be
 * restored by itself, whatever of it lies in the archives of older ones. As a `Source`, it knows nothing of targets and the controller.
 */
import type { StoredName } from '#common/manifest.ts';
import type { PackOptions } from '../archive/archive.ts';
import type { PointInMaking, Reference } from '../archive/point/point.ts';

/** A task made anew under the same name is another. */
export interface TaskName {
  readonly name: string;
  readonly createdMs: number;
}

/** What of HDFS is backed up. It is looked at anew at each run. */
export interface HdfsSelection {
  readonly paths: readonly string[];
  readonly patterns: readonly { readonly parent: string; readonly regex: string }[];
  readonly excludes: readonly string[];
  /** Empty: that of the node, whatever it is. */
  readonly nameService: string;
  readonly snapshotRoots: readonly string[];
  readonly keptSnapshots: number;
}

export interface PointBackupRequest {
  readonly task: TaskName;
  readonly startedMs: number;
  readonly selection: HdfsSelection;
  /** What an incremental builds on. undefined: a full one. */
  readonly base: Base | undefined;
}

/** An older backup file of the task. */
export interface Base {
  readonly facts: Readonly<Record<string, string>>;
  /** Key of its manifest. */
  readonly manifest: string;
  readonly archive: StoredName;
  readonly references: readonly Reference[];
  /** A file of this node that holds its index, every byte verified. @throws AppError when no vault has it sound. */
  index(): Promise<string>;
}

export interface PreparedPoint extends AsyncDisposable {
  /** Bytes that the archive may need before compression; an upper guess. */
  estimate(): Promise<bigint>;
  /** Called once. */
  backup(): Promise<PointContent>;
  /** The point is durable: what the next one builds on stays, and what no point needs any more goes. */
  keep(): Promise<void>;
}

export interface PointContent {
  /** What the source wants to know at restore; goes into the manifest. Never a secret. */
  readonly facts: Readonly<Record<string, string>>;
  /** Why it is a full one though a base was given; undefined: it is what was asked for. */
  readonly fullBecause: string | undefined;
  pack(options: PackOptions): PointInMaking;
}

export interface Survey {
  /** Every one. */
  readonly faults: readonly string[];
  readonly matches: readonly SourceMatch[];
}

export interface SourceMatch {
  readonly path: string;
  readonly files: bigint;
  readonly directories: bigint;
  readonly bytes: bigint;
}
