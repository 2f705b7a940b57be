/**
 * The catalogue: everything the controller must remember over its own death. Durable when a change resolves.
 * One method a question or change; what belongs together is written within one `transaction`.
 */
import { AppError } from '#common/errors.ts';
import type { Alarm, BackupSet, Leftover, LogLine, Restore, Run, Task } from '../model.ts';

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty: there is no more. */
  readonly next: string;
}

export interface PageRequest {
  readonly size: number;
  /** Of the page before; empty: from the beginning. */
  readonly token: string;
}

export function notAToken(token: string): AppError {
  return new AppError('INVALID', `${JSON.stringify(token.slice(0, 100))} is not a page token`, {
    hint: 'Take next_page_token of the page before.',
  });
}

/** What was answered to a request id, so that repeating it changes nothing. */
export interface Answer {
  readonly method: string;
  /** Of the request, so that one id with two meanings is refused. */
  readonly digest: string;
  readonly response: Uint8Array;
}

export interface AuditLine {
  readonly timeMs: number;
  readonly who: string;
  readonly method: string;
  readonly subject: string;
  readonly detail: string;
}

export interface Queries {
  task(name: string): Promise<Task | undefined>;
  tasks(): Promise<readonly Task[]>;
  run(id: string): Promise<Run | undefined>;
  /** Newest first; of every task when it is empty. */
  listRuns(task: string, page: PageRequest): Promise<Page<Run>>;
  /** Waiting and running, oldest first. */
  openRuns(): Promise<readonly Run[]>;
  /** Oldest first. */
  listLog(runId: string, page: PageRequest): Promise<Page<LogLine>>;
  set(id: string): Promise<BackupSet | undefined>;
  /** Newest first; of every task when it is empty. */
  listSets(task: string, page: PageRequest): Promise<Page<BackupSet>>;
  /** Of one task, those that go excluded, oldest first: in the order they were made, whatever the clock said. */
  setsOf(task: string): Promise<readonly BackupSet[]>;
  /** Oldest first, at most `limit`. */
  setsToDelete(limit: number): Promise<readonly BackupSet[]>;
  /** Those of which the vault of `node` lacks files and that do not go; oldest first, at most `limit`. */
  setsLacking(node: string, limit: number): Promise<readonly BackupSet[]>;
  restore(name: string): Promise<Restore | undefined>;
  restores(): Promise<readonly Restore[]>;
  /** Newest first. */
  listAlarms(history: boolean, page: PageRequest): Promise<Page<Alarm>>;
  openAlarms(): Promise<readonly Alarm[]>;
  leftovers(): Promise<readonly Leftover[]>;
  answer(requestId: string): Promise<Answer | undefined>;
  /** Newest first. */
  listAudit(page: PageRequest): Promise<Page<AuditLine>>;
}

export interface Changes {
  putTask(task: Task): Promise<void>;
  deleteTask(name: string): Promise<void>;
  /** @throws when a second run would be running: held by a unique index, whatever the rules say. */
  putRun(run: Run): Promise<void>;
  addLog(line: LogLine): Promise<void>;
  putSet(set: BackupSet): Promise<void>;
  deleteSet(id: string): Promise<void>;
  putRestore(restore: Restore): Promise<void>;
  deleteRestore(name: string): Promise<void>;
  /** False when it is up already. */
  raiseAlarm(alarm: Omit<Alarm, 'clearedMs'>): Promise<boolean>;
  /** False when it was not up. */
  clearAlarm(id: number, subject: string, clearedMs: number): Promise<boolean>;
  putLeftover(leftover: Leftover): Promise<void>;
  deleteLeftover(leftover: Leftover): Promise<void>;
  putAnswer(requestId: string, answer: Answer, nowMs: number): Promise<void>;
  /** Answers older than this are forgotten. */
  forgetAnswers(beforeMs: number): Promise<void>;
  audit(line: AuditLine): Promise<void>;
}

export type StoreView = Queries & Changes;

export interface Store extends Queries {
  /** All of it is written, durably, or nothing. Use the given view only: the store itself waits until this has ended. */
  transaction<T>(work: (view: StoreView) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
