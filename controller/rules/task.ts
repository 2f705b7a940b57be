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
const DATABASE = /^[^\0/]{1,63}$/;

export interface TaskInput {
  readonly name: string;
  /** undefined: a kind this version does not know. */
  readonly sources: readonly {
    readonly source: string | undefined;
    readonly full: boolean;
    readonly databases: readonly string[];
  }[];
  readonly targetKnown: boolean;
  readonly retention: RetentionPolicy;
  readonly schedule: Schedule | undefined;
  /** What is wrong with a calendar, told by whoever can read one. */
  readonly calendarFault: string | undefined;
  readonly wantedAgeMs: number | undefined;
}

export function nameFaults(name: string, what: string): string[] {
  return NAME.test(name)
    ? []
    : [`the name of a ${what} is 3 to 128 letters, digits and underscores, and ${JSON.stringify(name)} is not`];
}

export function taskFaults(input: TaskInput, limits: Limits): string[] {
  return [
    ...nameFaults(input.name, 'task'),
    ...sourceFaults(input.sources),
    ...(input.targetKnown ? [] : ['the target is missing or unknown: only local_dir is known']),
    ...retentionFaults(input.retention),
    ...scheduleFaults(input, limits),
    ...(input.wantedAgeMs === undefined || input.wantedAgeMs > 0 ? [] : ['the wanted age of the newest set is a time above 0']),
  ];
}

function sourceFaults(sources: TaskInput['sources']): string[] {
  if (sources.length === 0) return ['a task has one data source or more'];
  const names = sources.map(({ source }) => source);
  const twice = new Set(names.filter((name, index) => name !== undefined && names.indexOf(name) !== index));
  return [
    ...sources.flatMap(({ source, full, databases }, index) => {
      if (source === undefined) return [`data source ${index + 1} is missing or of an unknown kind`];
      return [
        ...(full ? [] : [`${source} takes the policy FULL only`]),
        ...databases
          .filter((name) => !DATABASE.test(name))
          .map((name) => `${JSON.stringify(name)} is not the name of a database of ${source}`),
      ];
    }),
    ...[...twice].map((name) => `${name} stands twice among the data sources`),
  ];
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
    ...(keepMs === undefined || keepMs > 0 ? [] : ['the age up to which sets are kept is a time above 0']),
  ];
}

function scheduleFaults({ schedule, calendarFault }: TaskInput, { shortestGapMs }: Limits): string[] {
  if (schedule === undefined) return ['the mode is missing: manual, periodic or calendar'];
  switch (schedule.kind) {
    case 'manual':
      return [];
    case 'calendar':
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
