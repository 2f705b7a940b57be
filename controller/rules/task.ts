/** What a task may be. Every fault is named, so that a caller corrects all of them at once. */
import type { Limits } from './limits.ts';
import type { RetentionPolicy } from './retention.ts';
import type { Schedule } from './schedule.ts';

/** 3 to 128 letters, digits and underscores. Documented; it becomes a directory, so nothing else may stand in it. */
const NAME = /^[A-Za-z0-9_]{3,128}$/;
/** More would only mean that nobody wants retention. */
const MOST_COPIES = 1000;
/** A year: more is a slip of the pen. */
const LONGEST_PERIOD_MS = 366 * 86_400_000;
/** The year 10000, where times on disk have no place any more. */
const LATEST_START_MS = 253_402_300_800_000;
/** Ages are years at most; what no number holds could be stored, and never told again. */
const LONGEST_AGE_MS = 100 * 366 * 86_400_000;
const DATABASE = /^[^\0/]{1,63}$/;
const MOST_DATABASES = 100;
/** What can stand in dfs.nameservices, of which Hadoop makes names of settings. */
const NAME_SERVICE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;
/** Of cron and zone together: every minute of the hour as a list is shorter. */
const LONGEST_CALENDAR = 255;

export interface TaskInput {
  readonly name: string;
  /** undefined: a kind this version does not know. */
  readonly sources: readonly {
    readonly source: string | undefined;
    readonly full: boolean;
    readonly databases: readonly string[];
    /** Empty: that of the agent. */
    readonly nameService: string;
  }[];
  readonly targetKnown: boolean;
  readonly retention: RetentionPolicy;
  readonly schedule: Schedule | undefined;
  /** What is wrong with a calendar, told by whoever can read one. */
  readonly calendarFault: string | undefined;
  readonly wantedAgeMs: number | undefined;
}

export function nameFaults(name: string, what: string): string[] {
  return NAME.test(name) ? [] : [`the name of a ${what} is 3 to 128 letters, digits and underscores, and ${quoted(name)} is not`];
}

export function taskFaults(input: TaskInput, limits: Limits): string[] {
  return [
    ...nameFaults(input.name, 'task'),
    ...sourceFaults(input.sources),
    ...(input.targetKnown ? [] : ['the target is missing or unknown: only local_dir is known']),
    ...retentionFaults(input.retention),
    ...scheduleFaults(input, limits),
    ...ageFaults('the wanted age of the newest set', input.wantedAgeMs),
  ];
}

function sourceFaults(sources: TaskInput['sources']): string[] {
  if (sources.length === 0) return ['a task has one data source or more'];
  const names = sources.map(({ source }) => source);
  const twice = new Set(names.filter((name, index) => name !== undefined && names.indexOf(name) !== index));
  return [
    ...sources.flatMap(({ source, full, databases, nameService }, index) => {
      if (source === undefined) return [`data source ${index + 1} is missing or of an unknown kind`];
      return [
        ...(full ? [] : [`${source} takes the policy FULL only`]),
        ...databaseFaults(source, databases),
        ...(nameService === '' || NAME_SERVICE.test(nameService)
          ? []
          : [`the NameService of ${source} is 1 to 255 letters, digits, "-", "_" and ".", and ${quoted(nameService)} is not`]),
      ];
    }),
    ...[...twice].map((name) => `${name} stands twice among the data sources`),
  ];
}

function databaseFaults(source: string, databases: readonly string[]): string[] {
  if (databases.length > MOST_DATABASES)
    return [`${source} is narrowed to at most ${MOST_DATABASES} databases, not ${databases.length}`];
  return [
    ...databases
      .filter((name) => !DATABASE.test(name))
      .map((name) => `${quoted(name)} is not the name of a database of ${source}`),
    ...[...new Set(databases)]
      .filter((name) => databases.indexOf(name) !== databases.lastIndexOf(name))
      .map((name) => `${quoted(name)} stands twice among the databases of ${source}`),
  ];
}

/** A fault is read by a person. */
function quoted(text: string): string {
  return text.length > 80 ? `${JSON.stringify(text.slice(0, 80))}… (${text.length} characters)` : JSON.stringify(text);
}

function retentionFaults({ copies, keepMs, daily, weekly, monthly }: RetentionPolicy): string[] {
  const count = (name: string, value: number, least: number) =>
    Number.isInteger(value) && value >= least && value <= MOST_COPIES
      ? []
      : [`${name} is ${least} to ${MOST_COPIES}, and ${value} is not`];
  return [
    ...count('copies', copies, 1),
    ...count('daily', daily, 0),
    ...count('weekly', weekly, 0),
    ...count('monthly', monthly, 0),
    ...ageFaults('the age up to which sets are kept', keepMs),
  ];
}

function ageFaults(what: string, ms: number | undefined): string[] {
  return ms === undefined || (ms > 0 && ms <= LONGEST_AGE_MS) ? [] : [`${what} is a time above 0, and at most 100 years`];
}

function scheduleFaults({ schedule, calendarFault }: TaskInput, { shortestGapMs }: Limits): string[] {
  if (schedule === undefined) return ['the mode is missing: manual, periodic or calendar'];
  switch (schedule.kind) {
    case 'manual':
      return [];
    case 'calendar':
      if (schedule.cron.length + schedule.zone.length > LONGEST_CALENDAR)
        return [`a calendar with its zone is written in at most ${LONGEST_CALENDAR} characters`];
      return calendarFault === undefined ? [] : [calendarFault];
    case 'periodic':
      return [
        ...(schedule.periodMs > shortestGapMs
          ? []
          : [`the period is more than ${shortestGapMs / 1000} s, and ${schedule.periodMs / 1000} s is not`]),
        ...(schedule.periodMs <= LONGEST_PERIOD_MS ? [] : ['the period is at most 366 days']),
        ...(schedule.startMs >= 0 && schedule.startMs < LATEST_START_MS
          ? []
          : ['the first start is a time in epoch milliseconds, before the year 10000']),
      ];
  }
}
