/** Requests → what the rules judge. Nothing is guessed: what is missing or unknown is a fault, and all faults are told at once. */
import { AppError } from '#common/errors.ts';
import { WhenLate as WhenLateMessage } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import type { RestoreOptions as OptionsMessage } from '#common/gen/holdfast/v1/agent.ts';
import { BackupPolicy } from '#common/gen/holdfast/v1/types.ts';
import type { Source } from '#common/gen/holdfast/v1/types.ts';
import { isSourceName } from '#common/names.ts';
import type { SourceName } from '#common/names.ts';
import type { Limits } from '#rules/limits.ts';
import type { RetentionPolicy } from '#rules/retention.ts';
import { anchorNow } from '#rules/schedule.ts';
import type { Schedule } from '#rules/schedule.ts';
import { taskFaults } from '#rules/task.ts';
import { calendarFault } from '../engine/calendar.ts';
import type { RestoreOptions, Task, TaskSource } from '../model.ts';
import { notAToken } from '../store/page.ts';
import type { PageRequest } from '../store/store.ts';

export type TaskDefinition = Pick<Task, 'name' | 'sources' | 'retention' | 'schedule' | 'whenLate' | 'wantedAgeMs'>;

/** `now` is when it was defined: a periodic task without a first start begins one period later. @throws AppError INVALID */
export function taskDefinition(spec: TaskSpec | undefined, now: number, limits: Limits): TaskDefinition {
  if (spec === undefined) throw new AppError('INVALID', 'the request holds no definition of a task');
  const sources = spec.sources.map(sourceOf);
  const schedule = scheduleOf(spec.mode, now);
  const retention = retentionOf(spec);
  const wantedAgeMs = milliseconds(spec.wantedAgeSeconds);
  const input = {
    name: spec.name,
    sources: spec.sources.map(({ policy }, index) => ({
      source: sources[index]?.source,
      full: policy === BackupPolicy.BACKUP_POLICY_FULL || policy === BackupPolicy.BACKUP_POLICY_UNSPECIFIED,
      databases: sources[index]?.databases ?? [],
      nameService: sources[index]?.nameService ?? '',
    })),
    targetKnown: spec.target?.pathType?.$case === 'localDir',
    retention,
    schedule,
    calendarFault: schedule?.kind === 'calendar' ? calendarFault(schedule, now, limits.shortestGapMs) : undefined,
    wantedAgeMs,
  };
  const faults = [
    ...taskFaults(input, limits),
    ...(Object.values(WhenLateMessage).includes(spec.whenLate) ? [] : ['when_late is of an unknown kind']),
  ];
  if (faults.length > 0) throw invalid(`the task ${JSON.stringify(spec.name)} was not accepted`, faults);
  return {
    name: spec.name,
    retention,
    whenLate: spec.whenLate === WhenLateMessage.WHEN_LATE_RUN_ONCE ? 'run-once' : 'postpone',
    wantedAgeMs,
    sources: sources.filter((source) => source !== undefined),
    schedule: schedule ?? { kind: 'manual' },
  };
}

function retentionOf({ copies, retention }: TaskSpec): RetentionPolicy {
  const { keepSeconds = 0n, daily = 0, weekly = 0, monthly = 0 } = retention ?? {};
  return { copies, keepMs: milliseconds(keepSeconds), daily, weekly, monthly };
}

/** 0 means that nobody said. */
function milliseconds(seconds: bigint): number | undefined {
  return seconds === 0n ? undefined : Number(seconds) * 1000;
}

export function invalid(what: string, faults: readonly string[]): AppError {
  return new AppError('INVALID', `${what}: ${faults.join('; ')}`, { details: { faults } });
}

function sourceOf({ kind }: Source): TaskSource | undefined {
  const plain = { databases: [], nameService: '' };
  switch (kind?.$case) {
    case 'oms':
      return { ...plain, source: 'OMS' };
    case 'ldapServer':
      return { ...plain, source: 'LdapServer' };
    case 'dbService':
      return { ...plain, source: 'DBService', databases: kind.value.databases };
    case 'nameNode':
      return { ...plain, source: 'NameNode', nameService: kind.value.nameService };
    case undefined:
      return undefined;
  }
}

function scheduleOf(mode: TaskSpec['mode'], now: number): Schedule | undefined {
  switch (mode?.$case) {
    case 'manual':
      return { kind: 'manual' };
    case 'periodic': {
      const periodMs = Number(mode.value.periodSeconds) * 1000;
      const startMs = Number(mode.value.startMs);
      return { kind: 'periodic', periodMs, startMs: startMs === 0 ? anchorNow(now, periodMs) : startMs };
    }
    case 'calendar':
      return { kind: 'calendar', ...mode.value };
    case undefined:
      return undefined;
  }
}

/** Empty means all that the set holds. @throws AppError INVALID naming each that is unknown. */
export function sourceNames(names: readonly string[]): SourceName[] {
  const unknown = names.filter((name) => !isSourceName(name));
  if (unknown.length > 0)
    throw invalid(
      'the sources cannot be restored',
      unknown.map((name) => `${JSON.stringify(name)} is not a data source`),
    );
  return [...new Set(names.filter(isSourceName))];
}

/** Each renames one database of a source, which has at most 100; a longer path no file system takes. */
const MOST_RENAMES = 100;
const LONGEST_DIRECTORY = 4095;
const RENAME = /^[^=\0/]{1,63}=[^=\0/]{1,63}$/;

/** @throws AppError INVALID */
export function restoreOptions(message: OptionsMessage | undefined): RestoreOptions {
  const { renameDatabases = [], directory = '', otherVersion = false, otherTopology = false } = message ?? {};
  if (renameDatabases.length > MOST_RENAMES || directory.length > LONGEST_DIRECTORY) {
    throw invalid('the options of the restore were not accepted', [
      `at most ${MOST_RENAMES} databases are renamed, and a directory has at most ${LONGEST_DIRECTORY} characters`,
    ]);
  }
  const faults = [
    ...renameDatabases.filter((text) => !RENAME.test(text)).map((text) => `${JSON.stringify(text)} does not say from=to`),
    ...(directory === '' || (directory.startsWith('/') && !directory.includes('\0') && !directory.split('/').includes('..'))
      ? []
      : [`the directory ${JSON.stringify(directory)} is not an absolute path without ".."`]),
  ];
  if (faults.length > 0) throw invalid('the options of the restore were not accepted', faults);
  return { renameDatabases, directory, otherVersion, otherTopology };
}

const DEFAULT_PAGE = 100;
const LARGEST_PAGE = 1000;
/** Of runs and sets, which are larger: a page of these stays well below the 4 MiB that a client takes. */
export const LARGEST_RECORDS_PAGE = 250;

/** Fewer than asked for may come: `most`. @throws AppError INVALID */
export function pageRequest({ pageSize, pageToken }: { pageSize: number; pageToken: string }, most = LARGEST_PAGE): PageRequest {
  if (pageSize < 0 || pageSize > LARGEST_PAGE)
    throw new AppError('INVALID', `a page has 1 to ${LARGEST_PAGE} entries, not ${pageSize}`);
  return { size: pageSize === 0 ? DEFAULT_PAGE : Math.min(pageSize, most), token: pageToken };
}

/** What may stand in a name of a task, a restore or a node. */
const NAME_TOKEN = /^[A-Za-z0-9_.-]{0,128}$/;

/** A page of a short list that is at hand whole, sorted by name: the token is the last name shown. @throws AppError INVALID */
export function pageByName<T>(items: readonly T[], nameOf: (item: T) => string, page: PageRequest): { items: T[]; next: string } {
  if (!NAME_TOKEN.test(page.token)) throw notAToken(page.token);
  const from = items.filter((item) => nameOf(item) > page.token);
  const shown = from.slice(0, page.size);
  const last = shown.at(-1);
  return { items: shown, next: from.length > shown.length && last !== undefined ? nameOf(last) : '' };
}
