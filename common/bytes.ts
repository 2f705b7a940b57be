/** Sizes as people write them, in bytes as bigint inside. GB is 10^9 and GiB is 2^30, as the product's documents mean them. */
import { AppError } from './errors.ts';

const UNITS: Readonly<Record<string, bigint>> = {
  B: 1n,
  KB: 10n ** 3n,
  MB: 10n ** 6n,
  GB: 10n ** 9n,
  TB: 10n ** 12n,
  KIB: 2n ** 10n,
  MIB: 2n ** 20n,
  GIB: 2n ** 30n,
  TIB: 2n ** 40n,
};

/** "20 GB", "512 MiB", "1.5GB", "0". @throws AppError INVALID */
export function parseSize(text: string): bigint {
  const match = /^\s*(\d{1,15})(?:\.(\d{1,6}))?\s*([A-Za-z]{1,3})?\s*$/.exec(text);
  const unit = UNITS[(match?.[3] ?? 'B').toUpperCase()];
  if (match?.[1] === undefined || unit === undefined) {
    throw new AppError('INVALID', `${JSON.stringify(text)} is not a size`, { hint: 'Write it like "20 GB" or "512 MiB".' });
  }
  const fraction = match[2] ?? '';
  return (BigInt(match[1] + fraction) * unit) / 10n ** BigInt(fraction.length);
}

/** "1.5 GB": three significant digits, decimal units. */
export function formatSize(bytes: bigint): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let value = Number(bytes);
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}
