/** One transaction of the catalogue, beside what was asked for and what happened outside: what a rule looks at. */
import type { BackupSet, Run, SourceRun } from '../../controller/model.ts';
import type { AuditLine } from '../../controller/store/store.ts';
import { isOpen } from './catalogue.ts';
import type { Catalogue } from './catalogue.ts';
import type { Written } from './watched-store.ts';

/** What the history asked of a task. */
export interface Wish {
  readonly sources: readonly string[];
  readonly copies: number;
  /** undefined: by hand only. */
  readonly period: { readonly startMs: number | undefined; readonly ms: number } | undefined;
  readonly locked: boolean;
}

/** By the time of day, as it may have been read, and by the steady clock of the life of the controller that saw it. */
export interface LastStart {
  readonly wall: readonly number[];
  readonly steady: number;
  readonly life: number;
}

/** What happened outside of the catalogue. */
export interface Facts {
  /** The time of day, as it may have been read for this transaction. */
  readings(): readonly number[];
  /** What may have made a run fail, or left a vault out of it: deaths, cut cables, full disks. */
  troubles(run: Run, nodes: readonly string[]): readonly string[];
  faultsOf(share: SourceRun): readonly string[];
  handed(share: SourceRun): string | undefined;
  stayed(share: SourceRun): boolean;
  /** Sets that somebody reads: a verification, for one. */
  beingRead(setId: string): boolean;
  /** What of a set's files is not whole, or not there, in the vaults that the catalogue names. */
  damage(set: BackupSet): readonly string[];
  /** Files of a set that lie in vaults which have nothing more to clear. */
  remains(set: BackupSet, after: Catalogue): readonly string[];
  /** Whether a file lies in the vault of a node at this moment. */
  lies(key: string, node: string): boolean;
  /** The clock was set, and whether a vault was heard since is not known. */
  vaultsMayNotHaveConfirmed(): boolean;
  /** The last start of each task; and the due times that cannot come again. */
  readonly lastStarts: ReadonlyMap<string, LastStart>;
  /** How long ago it was, as it may have been reckoned; nothing: there is none that counts. */
  gaps(task: string): readonly number[];
  readonly usedDues: ReadonlyMap<string, ReadonlySet<number>>;
}

export interface Transition {
  readonly before: Catalogue;
  readonly after: Catalogue;
  readonly written: readonly Written[];
  readonly audits: readonly AuditLine[];
  readonly wishes: ReadonlyMap<string, Wish>;
  readonly facts: Facts;
  readonly nodes: { readonly active: string; readonly standby: string };
}

/** By name; each says what is wrong. */
export type Rules = Readonly<Record<string, (change: Transition) => readonly string[]>>;

export function changedRuns({ before, after, written }: Transition): { was: Run | undefined; is: Run }[] {
  const ids = new Set(written.flatMap((one) => (one.kind === 'run' ? [one.run.id] : [])));
  return [...ids].flatMap((id) => {
    const is = after.runs.get(id);
    return is === undefined ? [] : [{ was: before.runs.get(id), is }];
  });
}

export function writtenSets({ after, written }: Transition): BackupSet[] {
  const ids = new Set(written.flatMap((one) => (one.kind === 'set' ? [one.set.id] : [])));
  return [...ids].flatMap((id) => after.sets.get(id) ?? []);
}

/** Those that began to run in this transaction, also when they ended in it. */
export function begun(change: Transition): Run[] {
  return changedRuns(change).flatMap(({ was, is }) => (was?.startedMs === undefined && is.startedMs !== undefined ? [is] : []));
}

export function ended(change: Transition): Run[] {
  return changedRuns(change).flatMap(({ was, is }) => ((was === undefined || isOpen(was)) && !isOpen(is) ? [is] : []));
}

/** Automatic runs that were requested. */
export function byPeriod(change: Transition): Run[] {
  return automatic(change).filter(({ state }) => state !== 'skipped');
}

/** Automatic runs that did not happen, as they were recorded. */
export function skipped(change: Transition): Run[] {
  return automatic(change).filter(({ state }) => state === 'skipped');
}

function automatic(change: Transition): Run[] {
  return changedRuns(change).flatMap(({ was, is }) => (was === undefined && is.trigger === 'period' ? [is] : []));
}
