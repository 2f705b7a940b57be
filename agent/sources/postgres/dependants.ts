/** What depends on the databases is stopped before the switch of a restore and started afterwards, by configured commands. */
import { runTool } from '../../tool.ts';
import type { SourceIo } from '../source.ts';
import type { PostgresSourceSettings } from './settings.ts';

export async function stopDependants(settings: PostgresSourceSettings, io: SourceIo): Promise<void> {
  await runAll('stop what depends on it', settings.beforeRestore, settings, io);
}

export async function startDependants(settings: PostgresSourceSettings, io: SourceIo): Promise<void> {
  await runAll('start what depends on it', settings.afterRestore, settings, io);
}

async function runAll(
  doing: string,
  commands: readonly (readonly string[])[],
  settings: PostgresSourceSettings,
  io: SourceIo,
): Promise<void> {
  for (const [command = '', ...args] of commands) {
    io.log('info', `${doing}: ${[command, ...args].join(' ')}`);
    await runTool({ doing, command, args, timeoutMs: settings.timeoutMs, signal: io.signal });
  }
}
