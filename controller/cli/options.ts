/** Small parsers of options. */
import { AppError } from '#common/errors.ts';

/** An option that may be repeated. */
export function collect(value: string, all: readonly string[] | undefined): readonly string[] {
  return [...(all ?? []), value];
}

/** @throws AppError INVALID */
export function readLimit(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new AppError('INVALID', `--limit ${JSON.stringify(text)} is not a number from 1 to 999999`, {
    hint: 'Write it like --limit 50.',
  });
}

/** A whole number; what it must be at least is a rule of the controller. @throws AppError INVALID */
export function readCount(text: string, option: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new AppError('INVALID', `${option} ${JSON.stringify(text)} is not a whole number`, {
    hint: `Write it like ${option} 3.`,
  });
}

/** A field of an answer that the controller always fills. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new AppError('FAILED', `the controller's answer holds no ${what}`, {
      hint: 'Use the command line of the same version as the controller.',
    });
  }
  return value;
}
