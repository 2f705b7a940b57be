/** Times as people write them. */
import { dateOf } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** "24h", "90 m", "1d" → seconds. @throws AppError INVALID */
export function parseDuration(text: string): bigint {
  const match = /^\s*(\d{1,9})\s*([smhd])\s*$/.exec(text);
  const unit = UNIT_SECONDS[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    throw new AppError('INVALID', `${JSON.stringify(text)} is not a duration`, { hint: 'Write it like "30m", "24h" or "7d".' });
  }
  return BigInt(match[1] ?? 0) * BigInt(unit);
}

/** 86400 → "1d", 5400 → "90m": the largest unit that divides it. */
export function formatPeriod(seconds: bigint): string {
  const unit = ['d', 'h', 'm'].find((name) => seconds > 0n && seconds % BigInt(UNIT_SECONDS[name] ?? 1) === 0n) ?? 's';
  return `${seconds / BigInt(UNIT_SECONDS[unit] ?? 1)}${unit}`;
}

/** RFC 3339, "2026-12-01T02:00:00Z" or with an offset → epoch milliseconds. @throws AppError INVALID */
export function parseTime(text: string): bigint {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?(?:Z|([+-])(\d\d):(\d\d))$/i.exec(text.trim());
  const part = (index: number) => Number(match?.[index] ?? 0);
  const date = dateOf(0);
  date.setUTCFullYear(part(1), part(2) - 1, part(3));
  date.setUTCHours(part(4), part(5), part(6));
  // A day such as 31 February rolls over into the next month: that shows it was none.
  const real =
    date.getUTCMonth() === part(2) - 1 && date.getUTCDate() === part(3) && part(4) < 24 && part(5) < 60 && part(6) < 60;
  if (match === null || !real) {
    throw new AppError('INVALID', `${JSON.stringify(text)} is not a time`, {
      hint: 'Write it like 2026-12-01T02:00:00Z or 2026-12-01T02:00:00+08:00.',
    });
  }
  const offset = (match[7] === '-' ? -1 : 1) * (part(8) * 60 + part(9)) * 60_000;
  return BigInt(date.getTime() - offset);
}
