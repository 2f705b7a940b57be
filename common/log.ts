/** Logs are one JSON line a state change: a constant message, data in fields. An error is logged once, where it is handled. */
import { pino } from 'pino';
import type { Logger } from 'pino';

export type { Logger } from 'pino';

/** Writes to stderr: stdout belongs to data. Level by HOLDFAST_LOG, default info. */
export function createLogger(name: string): Logger {
  return pino({ name, level: process.env['HOLDFAST_LOG'] ?? 'info', base: { name } }, pino.destination(2));
}
