/** What depends on the databases is stopped before the switch of a restore and started afterwards, by configured commands. */
import { startService, stopService } from '../service-switch.ts';
import type { Service } from '../service-switch.ts';
import type { SourceIo } from '../source.ts';
import type { PostgresSourceSettings } from './settings.ts';

const NAME = 'what depends on it';

export async function stopDependants(settings: PostgresSourceSettings, io: SourceIo): Promise<void> {
  for (const stop of settings.beforeRestore) {
    io.log('info', `stop ${NAME}: ${stop.join(' ')}`);
    await stopService(service(settings, { stop }), io);
  }
}

export async function startDependants(settings: PostgresSourceSettings, io: SourceIo): Promise<void> {
  for (const start of settings.afterRestore) {
    io.log('info', `start ${NAME}: ${start.join(' ')}`);
    await startService(service(settings, { start }), io);
  }
}

function service(
  { timeoutMs }: PostgresSourceSettings,
  command: Partial<Pick<Service, 'start' | 'stop'>>,
): Omit<Service, 'running'> {
  return { name: NAME, start: undefined, stop: undefined, ...command, timeoutMs };
}
