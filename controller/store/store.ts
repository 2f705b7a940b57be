/**
 * The catalogue: everything the controller must remember over its own death. Durable when a change resolves.
 * One method a question or change; what belongs together is written within one `transaction`. The same on SQLite and PostgreSQL
 * (test/store/contract.ts). No question that is asked again and again grows with the history.
 */
import type { Alarm, BackupSet, Delivery, KnownAgent, Leftover, LogLine, Restore, Run, SpaceRecord, Task } from '../model.ts';

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
  /** Of one task, those that go excluded, oldest first: in the order they were made, whatever the clock said. Retention bounds them. */
  setsOf(task: string): Promise<readonly BackupSet[]>;
  /** Oldest first. */
  setsToDelete(page: PageRequest): Promise<Page<BackupSet>>;
  /** Not marked for deletion, and a file of them is not held by one of these nodes; oldest first. */
  setsLacking(nodes: readonly string[], page: PageRequest): Promise<Page<BackupSet>>;
  restore(name: string): Promise<Restore | undefined>;
  restores(): Promise<readonly Restore[]>;
  /** Newest first. */
  listAlarms(history: boolean, page: PageRequest): Promise<Page<Alarm>>;
  openAlarms(): Promise<readonly Alarm[]>;
  /** Those that wait for this channel, or for any; oldest notice first. */
  waitingDeliveries(channel?: string): Promise<readonly Delivery[]>;
  /** Of these notices, oldest first: those that wait, and those that ended of late. */
  deliveriesOf(noticeIds: readonly string[]): Promise<readonly Delivery[]>;
  agent(node: string): Promise<KnownAgent | undefined>;
  /** By node. */
  agents(): Promise<readonly KnownAgent[]>;
  /** Of this vault, the newest so many, oldest first. */
  spaceSamples(node: string, limit: number): Promise<readonly SpaceRecord[]>;
  /** By run and prefix. */
  leftovers(page: PageRequest): Promise<Page<Leftover>>;
  leftoversOf(runId: string): Promise<readonly Leftover[]>;
  answer(requestId: string): Promise<Answer | undefined>;
  /** Newest first. */
  listAudit(page: PageRequest): Promise<Page<AuditLine>>;
}

export interface Changes {
  putTask(task: Task): Promise<void>;
  deleteTask(name: string): Promise<void>;
  /**
   * A run that is running holds a slot and each of its sources, any other holds none: in the same transaction, by unique names,
   * whatever the rules say. @throws AppError LIMIT when as many run as may, REFUSED when a source of it is in another that runs.
   */
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
  /** A notice that is there already, for this channel, changes nothing. */
  addDelivery(delivery: Delivery): Promise<void>;
  /** Nothing happens when it is not there (any more). */
  changeDelivery(delivery: Delivery): Promise<void>;
  /** Those that ended before this are forgotten. */
  forgetDeliveries(beforeMs: number): Promise<void>;
  putAgent(agent: KnownAgent): Promise<void>;
  deleteAgent(node: string): Promise<void>;
  putSpaceSample(sample: SpaceRecord): Promise<void>;
  /** Those older than this are forgotten. */
  forgetSpaceSamples(beforeMs: number): Promise<void>;
  putLeftover(leftover: Leftover): Promise<void>;
  deleteLeftover(leftover: Leftover): Promise<void>;
  putAnswer(requestId: string, answer: Answer, nowMs: number): Promise<void>;
  /** Answers older than this are forgotten. */
  forgetAnswers(beforeMs: number): Promise<void>;
  audit(line: AuditLine): Promise<void>;
}

export type StoreView = Queries & Changes;

/** Who asks for the lead. */
export interface Candidate {
  /** For people: the name of its node. */
  readonly holder: string;
  /** host:port, told to those who ask one that does not lead. */
  readonly address: string;
}

export type Lead =
  | { readonly kind: 'leading'; readonly term: number }
  | {
      readonly kind: 'following';
      /** host:port; empty: nobody leads. */
      readonly leader: string;
      readonly holder: string;
      /** Of the leader's lease; 0 when nobody leads. */
      readonly leftMs: number;
    };

/**
 * One controller changes the catalogue at a time: who has taken the lead. Leases run by the clock of the database. A store on
 * SQLite has taken it, for good, when it is opened: an older process on the same file is fenced from then on.
 */
export interface Leadership {
  /**
   * The lead, when nobody's lease stands; a leader that asks again keeps its term and has a new lease. To be asked again and
   * again by a follower: it then costs one read.
   */
  takeLead(candidate: Candidate, leaseMs: number): Promise<Lead>;
  /** A new lease from now on, or who has taken over. */
  renewLead(term: number, leaseMs: number): Promise<Lead>;
  /** The lead is free at once, and this store changes nothing more. */
  resign(term: number): Promise<void>;
}

export interface Store extends Queries, Leadership {
  /**
   * All of it is written, durably, or nothing. Use the given view only: the store itself waits until this has ended. `work` may be
   * run again from its start, so it has no effects but through the view.
   * @throws AppError NOT_LEADER when this store does not lead (any more), with the leader's address in the hint; UNAVAILABLE when
   * the database cannot be reached: when it was lost while the end was written, it may have been written.
   */
  transaction<T>(work: (view: StoreView) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** How many runs may be running at a time, as documented: 1. */
  readonly slots?: number | undefined;
}
