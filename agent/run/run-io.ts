/** What the work of an assignment may use of its agent. */
import type { Clock } from '#common/clock.ts';
import type { SourceName } from '#common/names.ts';
import type { Source, SourceIo, UndoRecord } from '../sources/source.ts';
import type { Target } from '../targets/target.ts';
import type { VaultAccess } from './job.ts';

export interface RunIo {
  readonly node: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Private (mode 700), empty, removed when the work has ended. */
  readonly workDirectory: string;
  readonly compressionLevel: number;
  log(level: 'info' | 'warn' | 'error', message: string): void;
  progress(phase: string, doneBytes: bigint, totalBytes: bigint | undefined): void;
  /** @throws AppError NOT_FOUND when this node is not configured for it. */
  source(name: SourceName): Source;
  openVault(access: VaultAccess): Promise<Target & AsyncDisposable>;
  /** Durable when it resolves: with it a restarted agent puts the old state back. */
  saveUndo(undo: UndoRecord): Promise<void>;
  /** The new state stays: from here on there is no way back. Durable when it resolves. */
  markCommitted(): Promise<void>;
}

/** The narrower view that a source has of it. */
export function sourceIo(io: RunIo, workDirectory: string): SourceIo {
  return {
    workDirectory,
    signal: io.signal,
    log: (level, message) => io.log(level, message),
    progress: (phase, done, total) => io.progress(phase, done, total),
  };
}
