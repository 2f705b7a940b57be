/** Which sets of a task are kept, and how old the newest may become: from the options, in words, and for --json. */
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { formatPeriod, parseDuration } from './duration.ts';
import { readCount } from './options.ts';

export interface KeepingOptions {
  readonly copies?: string;
  readonly keepFor?: string;
  readonly daily?: string;
  readonly weekly?: string;
  readonly monthly?: string;
  readonly wantedAge?: string;
}

type Keeping = Pick<TaskSpec, 'copies' | 'retention' | 'wantedAgeSeconds'>;

/** @throws AppError INVALID */
export function readKeeping(base: Keeping, options: KeepingOptions): Keeping {
  const { keepSeconds = 0n, daily = 0, weekly = 0, monthly = 0 } = base.retention ?? {};
  const count = (text: string | undefined, option: string, before: number) =>
    text === undefined ? before : readCount(text, option);
  const retention = {
    keepSeconds: options.keepFor === undefined ? keepSeconds : readAge(options.keepFor),
    daily: count(options.daily, '--daily', daily),
    weekly: count(options.weekly, '--weekly', weekly),
    monthly: count(options.monthly, '--monthly', monthly),
  };
  return {
    copies: count(options.copies, '--copies', base.copies),
    retention,
    wantedAgeSeconds: options.wantedAge === undefined ? base.wantedAgeSeconds : readAge(options.wantedAge),
  };
}

/** `none` takes back what was given once. */
function readAge(text: string): bigint {
  return text === 'none' ? 0n : parseDuration(text);
}

/** "3 copies, younger than 30d, 7 daily, 12 monthly" */
export function describeKeeping({ copies, retention }: Keeping): string {
  const { keepSeconds = 0n, daily = 0, weekly = 0, monthly = 0 } = retention ?? {};
  const parts = [
    `${copies} ${copies === 1 ? 'copy' : 'copies'}`,
    keepSeconds === 0n ? '' : `younger than ${formatPeriod(keepSeconds)}`,
    ...Object.entries({ daily, weekly, monthly }).map(([name, value]) => (value === 0 ? '' : `${value} ${name}`)),
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** What the alarm goes by: also when nobody said. `-`: no alarm. */
export function describeWantedAge({ wantedAgeSeconds, mode }: Pick<TaskSpec, 'wantedAgeSeconds' | 'mode'>): string {
  if (wantedAgeSeconds !== 0n) return formatPeriod(wantedAgeSeconds);
  switch (mode?.$case) {
    case 'periodic':
      return `${formatPeriod(2n * mode.value.periodSeconds)} (two periods)`;
    case 'calendar':
      return 'twice its longest gap';
    default:
      return '-';
  }
}

export function keepingView({ copies, retention, wantedAgeSeconds }: Keeping) {
  const { keepSeconds = 0n, daily = 0, weekly = 0, monthly = 0 } = retention ?? {};
  const given = (seconds: bigint) => (seconds === 0n ? undefined : seconds);
  return { copies, keepSeconds: given(keepSeconds), daily, weekly, monthly, wantedAgeSeconds: given(wantedAgeSeconds) };
}
