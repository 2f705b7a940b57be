/** Records for the tests of the catalogue. */
import type { SourceName } from '#common/names.ts';
import type { AuditLine, Page, PageRequest } from '../../controller/store/store.ts';
import type {
  BackupFile,
  BackupSet,
  Delivery,
  KnownAgent,
  Leftover,
  LogLine,
  Restore,
  Run,
  SourceRun,
  Task,
} from '../../controller/model.ts';
import type { RunState } from '../../controller/rules/run-state.ts';

/** Beyond what a double can count: sizes must come back to the byte. */
export const HUGE = 9_007_199_254_740_993n;
/** Quotes, an apostrophe, a line separator, an emoji, and the character that PostgreSQL does not store. */
export const ODD_TEXT = 'it\'s "odd"\u2028\n\\ 日本 🗄 é';

export function taskOf(name: string, change: Partial<Task> = {}): Task {
  return {
    name,
    createdMs: 1_700_000_000_000,
    system: false,
    sources: [{ source: 'OMS', databases: [], nameService: '' }],
    retention: { copies: 2, keepMs: undefined, daily: 0, weekly: 0, monthly: 0 },
    whenLate: 'postpone',
    wantedAgeMs: undefined,
    lockedMs: undefined,
    schedule: { kind: 'periodic', startMs: 1, periodMs: 3_600_000 },
    locked: false,
    nextStartMs: undefined,
    lastRunId: undefined,
    lastStartedMs: undefined,
    ...change,
  };
}

export function shareOf(source: SourceName, change: Partial<SourceRun> = {}): SourceRun {
  return {
    source,
    node: 'dn1',
    state: 'running',
    assignmentId: `a-${source}`,
    attempt: 1,
    fault: undefined,
    file: undefined,
    storedOn: [],
    givenUp: false,
    startedMs: 1,
    endedMs: undefined,
    ...change,
  };
}

export function runOf(id: string, state: RunState, sources: readonly SourceName[] = ['OMS'], change: Partial<Run> = {}): Run {
  return {
    id,
    kind: 'backup',
    task: 'nightly',
    trigger: 'manual',
    state,
    createdMs: 1,
    startedMs: undefined,
    endedMs: undefined,
    fault: undefined,
    setId: `s-${id}`,
    sources: sources.map((source) => shareOf(source)),
    stopReason: undefined,
    startedFrom: undefined,
    topology: [],
    productVersion: '0.1.0',
    ...change,
  };
}

export function fileOf(source: SourceName): BackupFile {
  const stored = (what: string, size: bigint) => ({ key: `nightly/${source}/${what}`, size, sha256: 'ab'.repeat(32) });
  return {
    source,
    manifest: stored('manifest', 100n),
    archive: stored('archive', HUGE),
    index: stored('index', 0n),
    entries: 3,
    contentBytes: HUGE,
  };
}

export function setOf(id: string, task: string, nodes: readonly string[], change: Partial<BackupSet> = {}): BackupSet {
  return {
    id,
    task,
    runId: `r-${id}`,
    createdMs: 1,
    files: [{ file: fileOf('OMS'), nodes }],
    missingSources: [],
    pinned: false,
    deleting: undefined,
    verifiedMs: undefined,
    productVersion: '1',
    topology: ['dn1: OMS'],
    ...change,
  };
}

export function restoreOf(name: string, setId: string): Restore {
  return {
    name,
    setId,
    sources: ['OMS'],
    options: { renameDatabases: [], directory: '', otherVersion: false, otherTopology: false },
    createdMs: 1,
    lastRunId: undefined,
  };
}

export function lineOf(runId: string, message: string): LogLine {
  return { runId, timeMs: 1, level: 'info', source: '', message };
}

export function leftoverOf(runId: string, prefix: string, nodes: readonly string[]): Leftover {
  return { runId, attempt: 2, prefix, nodes };
}

export function deliveryOf(notice: string, channel: string, change: Partial<Delivery> = {}): Delivery {
  return {
    notice: {
      kind: 'cleared',
      id: notice,
      alarm: { id: 12034, name: 'Periodic backup failure', severity: 'major' },
      subject: 'nightly',
      detail: ODD_TEXT,
      next: 'look',
      origin: 'mn1',
      raisedMs: 1,
      clearedMs: 2,
    },
    channel,
    state: 'waiting',
    attempts: 0,
    pausedMs: 0,
    nextMs: 0,
    fault: undefined,
    endedMs: undefined,
    ...change,
  };
}

export function agentOf(node: string, change: Partial<KnownAgent> = {}): KnownAgent {
  return { node, sources: ['OMS'], version: '0.1.0', certificateEndsMs: 9, firstSeenMs: 1, lastSeenMs: 2, ...change };
}

export function auditOf(subject: string): AuditLine {
  return { timeMs: 1, who: 'operator', method: 'RunTask', subject, detail: ODD_TEXT };
}

/** Every item of a list, by pages of this size. */
export async function everyPage<T>(list: (page: PageRequest) => Promise<Page<T>>, size = 100): Promise<T[]> {
  const found: T[] = [];
  let token = '';
  do {
    const page = await list({ size, token });
    found.push(...page.items);
    token = page.next;
  } while (token !== '');
  return found;
}
