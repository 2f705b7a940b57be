/** What the controller assigns to an agent, and what comes of it: plain data, without proto types. */
import type { FaultShape } from '#common/errors.ts';
import type { SourceName } from '#common/names.ts';
import type { StoredName } from '#common/manifest.ts';
import type { BackupRequest, RestorePlan } from '../sources/source.ts';

export type Work = BackupWork | PlanRestoreWork | RestoreWork | VerifyWork | DeleteWork | MirrorWork | InventoryWork;

export interface Job {
  readonly assignmentId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly work: Work;
}

/** A vault, and the grant that opens a part of it. */
export interface VaultAccess {
  readonly node: string;
  readonly url: string;
  readonly grant: string;
  readonly active: boolean;
}

/** What one source yielded in one run, as the catalogue knows it. */
export interface BackupFile {
  readonly source: SourceName;
  readonly manifest: StoredName;
  readonly archive: StoredName;
  readonly index: StoredName;
  readonly entries: number;
  readonly contentBytes: bigint;
}

export interface BackupWork {
  readonly kind: 'backup';
  readonly task: string;
  readonly taskCreatedMs: number;
  readonly runStartedMs: number;
  readonly setId: string;
  readonly setSources: readonly SourceName[];
  readonly source: SourceName;
  readonly request: BackupRequest;
  readonly vaults: readonly VaultAccess[];
  readonly topology: readonly string[];
  readonly minimumFreeBytes: bigint;
  readonly productVersion: string;
}

/** A backup file and the vaults that hold it, best first. */
export interface ReadableFile {
  readonly file: BackupFile;
  readonly vaults: readonly VaultAccess[];
}

export interface RestoreOptions {
  readonly renameDatabases: Readonly<Record<string, string>>;
  readonly directory: string | undefined;
}

export interface PlanRestoreWork extends ReadableFile {
  readonly kind: 'planRestore';
  readonly options: RestoreOptions;
}

export interface RestoreWork extends ReadableFile {
  readonly kind: 'restore';
  readonly options: RestoreOptions;
}

export interface VerifyWork {
  readonly kind: 'verify';
  readonly files: readonly BackupFile[];
  readonly vault: VaultAccess;
}

export interface DeleteWork {
  readonly kind: 'delete';
  readonly files: readonly BackupFile[];
  /** Everything below these goes: what a lost agent left without a manifest. */
  readonly incompletePrefixes: readonly string[];
  /** The first of two phases: the bytes stay for a while. */
  readonly manifestsOnly: boolean;
  readonly vault: VaultAccess;
}

export interface MirrorWork {
  readonly kind: 'mirror';
  readonly files: readonly BackupFile[];
  readonly from: VaultAccess;
  readonly to: VaultAccess;
}

export interface InventoryWork {
  readonly kind: 'inventory';
  readonly vault: VaultAccess;
  /** Only keys after this one. */
  readonly after: string;
}

export interface HeldManifest {
  readonly file: StoredName;
  readonly content: Buffer;
  /** Why it does not count; empty: it does. */
  readonly fault: string;
}

export type Outcome =
  | { readonly kind: 'failed'; readonly fault: FaultShape }
  | { readonly kind: 'stopped'; readonly fault: FaultShape }
  /** A restore failed and so did its roll back. */
  | { readonly kind: 'unknownState'; readonly fault: FaultShape }
  | { readonly kind: 'backup'; readonly file: BackupFile; readonly vaults: readonly VaultResult[] }
  | { readonly kind: 'planRestore'; readonly source: SourceName; readonly plan: RestorePlan }
  | { readonly kind: 'restore'; readonly checks: readonly string[]; readonly restoredBytes: bigint }
  | { readonly kind: 'verify'; readonly damage: readonly Damage[]; readonly readBytes: bigint }
  | { readonly kind: 'delete'; readonly keys: readonly string[] }
  | { readonly kind: 'mirror'; readonly copiedBytes: bigint }
  /** `next` is the last key looked at, empty when there is no more. */
  | { readonly kind: 'inventory'; readonly manifests: readonly HeldManifest[]; readonly next: string };

/** A part of a backup file is not as it was written. */
export interface Damage {
  readonly file: BackupFile;
  readonly fault: string;
}

export interface VaultResult {
  readonly node: string;
  /** undefined: stored and durable. */
  readonly fault: FaultShape | undefined;
}

export interface FinishedJob {
  readonly assignmentId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly endedMs: number;
  readonly outcome: Outcome;
}
