/** slapd as a service that is stopped and started. */
import { runTool } from '../../tool.ts';
import type { Service } from '../service-switch.ts';
import type { LdapServerSettings } from './settings.ts';

/** Not in place: nothing that runs is touched. */
export function slapdService(settings: LdapServerSettings, inPlace: boolean): Service {
  const { start, stop, timeout: timeoutMs } = settings;
  return { name: 'slapd', start: inPlace ? start : undefined, stop: inPlace ? stop : undefined, timeoutMs };
}

/** ldapsearch's own status for "no server": anything else, a refusal included, is an answer. */
const CANNOT_CONTACT = 255;

export async function isAnswering({ url, timeout }: LdapServerSettings, signal: AbortSignal): Promise<boolean> {
  const { exitCode } = await runTool({
    doing: `ask slapd at ${url}`,
    command: 'ldapsearch',
    args: ['-x', '-LLL', '-H', url, '-o', 'nettimeout=5', '-s', 'base', '-b', '', 'namingContexts'],
    timeoutMs: timeout,
    accept: Array.from({ length: 256 }, (_, status) => status),
    signal,
  });
  return exitCode !== CANNOT_CONTACT;
}
