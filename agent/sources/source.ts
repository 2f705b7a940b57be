/**
 * A data source of this node. It knows how to bring its data into files and back, and nothing of targets, archives or the
 * controller. Adding one: its arm in the proto, one file here, one line in `index.ts`, one in the contract test, one row in
 * the validation table of the rules.
 */
import type { SourceName } from '#common/names.ts';
import type { ArchiveRoot } from '../archive/archive.ts';

/** What every phase may use. */
export interface SourceIo {
  /** A private (mode 700), empty directory for spooling. Removed by the runner after the source is disposed. */
  readonly workDirectory: string;
  readonly signal: AbortSignal;
  /** A line for the log of the run. Never a secret. */
  log(level: 'info' | 'warn' | 'error', message: string): void;
  /** Bytes spooled so far by the present phase. */
  progress(phase: string, doneBytes: bigint, totalBytes: bigint | undefined): void;
}

export interface Source {
  readonly name: SourceName;
  /** Freezes or snapshots where the source needs it; disposing the result undoes that on every way out. */
  prepareBackup(request: BackupRequest, io: SourceIo): Promise<PreparedBackup>;
  /** Looks, changes nothing. */
  planRestore(request: RestoreRequest, io: SourceIo): Promise<RestorePlan>;
  prepareRestore(request: RestoreRequest, io: SourceIo): Promise<PreparedRestore>;
  /**
   * Puts back what a restore had switched when its agent died between switch and commit. `undo` is what that restore handed
   * to `saveUndo`. Must be repeatable.
   */
  undoRestore(undo: UndoRecord, io: SourceIo): Promise<void>;
  /** Removes what a restore had replaced when its agent died after every check had passed. Repeatable; tells what it cannot remove. */
  commitRestore(undo: UndoRecord, io: SourceIo): Promise<void>;
  /** Removes what a restore had staged beside when its agent died before the switch. Repeatable. */
  removeStaged(request: RestoreRequest, io: SourceIo): Promise<void>;
}

export interface BackupRequest {
  /** DBService: the databases chosen; empty: all configured. */
  readonly databases: readonly string[];
  /** NameNode: the NameService that the task names; empty: that of the node, whatever it is. */
  readonly nameService: string;
}

export interface PreparedBackup extends AsyncDisposable {
  /** Bytes the spool and the archive may need before compression; an upper guess. */
  estimate(): Promise<bigint>;
  /** Dumps into the work directory where needed, and says what goes into the archive. Called once. */
  backup(): Promise<BackupContent>;
}

export interface BackupContent {
  readonly roots: readonly ArchiveRoot[];
  /** What the source wants to know at restore (names, versions, transaction ids); goes into the manifest. Never a secret. */
  readonly facts: Readonly<Record<string, string>>;
}

export interface RestoreRequest {
  readonly facts: Readonly<Record<string, string>>;
  readonly contentBytes: bigint;
  /** Original database name → name to restore to. */
  readonly renameDatabases: Readonly<Record<string, string>>;
  /** Restore into this directory instead of the original places, touching nothing that runs. */
  readonly directory: string | undefined;
}

/** Shown and confirmed before anything changes. */
export interface RestorePlan {
  readonly steps: readonly string[];
  readonly overwrites: readonly string[];
  readonly mustBeStopped: readonly string[];
  /** Any one means that the restore will not start. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly neededBytes: bigint;
  readonly freeBytes: bigint;
}

/** JSON that survives the death of the agent: enough to put the old state back. */
export type UndoRecord = Readonly<Record<string, string>>;

/**
 * A restore in its phases. The runner calls them in this order; a failure before `switchOver` leaves the old state untouched,
 * one after it leads to `rollBack`. Disposing removes what was staged and not committed.
 */
export interface PreparedRestore extends AsyncDisposable {
  /** `unpacked` holds the archive's content, every byte verified. Builds the new state beside the old one and checks it. */
  stage(unpacked: string): Promise<void>;
  /** Calls `saveUndo` (durable when it resolves) before the first change, then swaps new for old, keeping the old. */
  switchOver(saveUndo: (undo: UndoRecord) => Promise<void>): Promise<void>;
  /** Proves that what is in place now works and is what was backed up; each line is shown to the user. */
  check(): Promise<readonly string[]>;
  /** Removes the old state. After this there is no way back. */
  commit(): Promise<void>;
  rollBack(): Promise<void>;
}
