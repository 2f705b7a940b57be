/** When a task runs: from the options of the command line, in words, and for --json. */
import { WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { formatPeriod, parseDuration, parseTime } from './duration.ts';

type Mode = TaskSpec['mode'];

export interface ModeOptions {
  readonly every?: string;
  readonly start?: string;
  readonly cron?: string;
  readonly zone?: string;
  readonly manual?: boolean;
}

/** `base` is what is there already. @throws AppError INVALID */
export function readMode(base: Mode, options: ModeOptions, nowMs: bigint): Mode {
  const { manual, every, start, cron, zone } = options;
  const given = Object.entries({ manual, every, start, cron, zone }).flatMap(([name, value]) => (value ? [`--${name}`] : []));
  const calendar = cron !== undefined || zone !== undefined;
  if ((manual === true && given.length > 1) || (calendar && (every !== undefined || start !== undefined))) {
    throw new AppError('INVALID', `${given.join(' and ')} exclude each other`, {
      hint: 'A task runs by its period (--every, --start), by a calendar (--cron, --zone), or when told (--manual): give one of them.',
    });
  }
  if (manual === true) return { $case: 'manual', value: {} };
  if (calendar) return readCalendar(base, cron, zone);
  return every === undefined && start === undefined ? base : readPeriod(base, every, start, nowMs);
}

function readCalendar(base: Mode, cron: string | undefined, zone: string | undefined): Mode {
  const before = base?.$case === 'calendar' ? base.value : undefined;
  const value = { cron: cron ?? before?.cron, zone: zone ?? before?.zone };
  if (value.cron === undefined) {
    throw new AppError('INVALID', '--zone needs a calendar', { hint: `Add --cron, such as --cron '0 2 * * *'.` });
  }
  // Not taken from this machine: the controller may stand elsewhere, and both may be moved.
  if (value.zone === undefined) {
    throw new AppError('INVALID', '--cron needs the zone whose clocks it means', {
      hint: 'Add --zone, such as --zone Europe/Berlin or --zone UTC.',
    });
  }
  return { $case: 'calendar', value: { cron: value.cron, zone: value.zone } };
}

function readPeriod(base: Mode, every: string | undefined, start: string | undefined, nowMs: bigint): Mode {
  const before = base?.$case === 'periodic' ? base.value : undefined;
  const periodSeconds = every === undefined ? before?.periodSeconds : parseDuration(every);
  if (periodSeconds === undefined) {
    throw new AppError('INVALID', '--start needs a period', { hint: 'Add --every, such as --every 24h.' });
  }
  if (start !== undefined) return { $case: 'periodic', value: { periodSeconds, startMs: parseTime(start) } };
  const startMs = before === undefined ? 0n : closerStart(before, periodSeconds, nowMs);
  return { $case: 'periodic', value: { periodSeconds, startMs } };
}

/**
 * Every hour instead of every day means: within the hour, not from tomorrow on. The start moves closer by whole periods, so that it
 * stays one of the times; one further away than the period before was set for a later day, and stays.
 */
function closerStart(before: { startMs: bigint; periodSeconds: bigint }, periodSeconds: bigint, nowMs: bigint): bigint {
  const periodMs = periodSeconds * 1000n;
  const away = before.startMs - nowMs;
  if (away <= periodMs || away > before.periodSeconds * 1000n || periodMs <= 0n) return before.startMs;
  return before.startMs - ((away - 1n) / periodMs) * periodMs;
}

export function describeMode(mode: Mode): string {
  switch (mode?.$case) {
    case 'periodic':
      return `every ${formatPeriod(mode.value.periodSeconds)}`;
    case 'calendar':
      return `${mode.value.cron} ${mode.value.zone}`;
    case 'manual':
      return 'manual';
    case undefined:
      return 'unknown';
  }
}

/** The same fields whatever the mode. */
export function modeView(mode: Mode) {
  const periodic = mode?.$case === 'periodic' ? mode.value : undefined;
  const calendar = mode?.$case === 'calendar' ? mode.value : undefined;
  return {
    mode: mode?.$case ?? 'unknown',
    periodSeconds: periodic?.periodSeconds,
    startMs: periodic?.startMs,
    cron: calendar?.cron,
    zone: calendar?.zone,
  };
}

const WHEN_LATE: Readonly<Record<string, WhenLate>> = {
  postpone: WhenLate.WHEN_LATE_POSTPONE,
  'run-once': WhenLate.WHEN_LATE_RUN_ONCE,
};
export const LATE_CHOICES = Object.keys(WHEN_LATE);

/** @throws AppError INVALID */
export function readWhenLate(text: string): WhenLate {
  const choice = WHEN_LATE[text];
  if (choice !== undefined) return choice;
  throw new AppError('INVALID', `--when-late ${JSON.stringify(text)} is not known`, {
    hint: `Choose: ${LATE_CHOICES.join(', ')}.`,
  });
}

/** The word that the option takes. */
export function whenLateWord(whenLate: WhenLate): string {
  if (whenLate === WhenLate.WHEN_LATE_UNSPECIFIED) return 'postpone';
  return LATE_CHOICES.find((name) => WHEN_LATE[name] === whenLate) ?? 'unknown';
}
