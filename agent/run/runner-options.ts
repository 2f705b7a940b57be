/** What the runner needs of the agent around it. */
import type { Clock } from '#common/clock.ts';
import type { Logger } from '#common/log.ts';
import type { SourceName } from '#common/names.ts';
import type { Source, UndoRecord } from '../sources/source.ts';
import type { Target } from '../targets/target.ts';
import type { FinishedJob, Job, VaultAccess } from './job.ts';

export interface RunnerOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sources: ReadonlyMap<SourceName, Source>;
  /** Spool of the assignments; emptied at start. */
  readonly workDirectory: string;
  readonly concurrency: number;
  readonly compressionLevel: number;
  /** Nothing new begins before: what the last death cut off is put right then. */
  readonly ready: Promise<void>;
  openVault(access: VaultAccess, signal: AbortSignal): Promise<Target & AsyncDisposable>;
  saveUndo(assignmentId: string, undo: UndoRecord): Promise<void>;
  markCommitted(assignmentId: string): Promise<void>;
  /** Journaled when it resolves; then it is told to the controller. */
  finish(job: FinishedJob): Promise<void>;
  onProgress(job: Job, phase: string, doneBytes: bigint, totalBytes: bigint | undefined): void;
  onLog(job: Job, level: 'info' | 'warn' | 'error', message: string): void;
}
