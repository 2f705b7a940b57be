/** "24h", "30 s", "500ms" in a configuration → milliseconds. */
import { z } from 'zod';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** More is a slip of the pen, and sums of times would be none any more. */
const LONGEST_MS = 100 * 366 * 86_400_000;

export const duration = z.string().transform((text, context) => {
  const match = /^(\d{1,9})\s*(ms|s|m|h|d)$/.exec(text.trim());
  const unit = UNIT_MS[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    context.addIssue(`${JSON.stringify(text)} is not a duration: write it like "30s", "10m", "24h" or "7d"`);
    return z.NEVER;
  }
  const ms = Number(match[1]) * unit;
  if (ms <= LONGEST_MS) return ms;
  context.addIssue(`${JSON.stringify(text)} is more than 100 years`);
  return z.NEVER;
});

/** 86400000 → "1d": in the largest unit that leaves no rest, as it is written in the file. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, size] = Object.entries(UNIT_MS).findLast(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
