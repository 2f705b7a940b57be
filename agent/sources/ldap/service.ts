/** slapd as a service that is stopped and started. */
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { isLocked } from '../file-lock.ts';
import type { Service } from '../service-switch.ts';
import type { LdapServerSettings } from './settings.ts';

export function slapdService(settings: LdapServerSettings): Service {
  return {
    name: 'slapd',
    start: settings.start,
    stop: settings.stop,
    timeoutMs: settings.timeout,
    running: (directories, signal) => whyRunning(settings, directories, signal),
  };
}

/**
 * Where the address is wrong, the lock that MDB keeps on an open database tells. What takes connections and says nothing may be a slapd that
 * hangs: nothing is moved away beneath it.
 */
async function whyRunning(
  settings: LdapServerSettings,
  directories: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const heard = await call(settings, signal);
  if (heard === 'an answer') return `it answers at ${settings.url}`;
  for (const directory of directories) {
    const lock = join(directory, 'lock.mdb');
    if (await isLocked(lock)) return `a process holds ${lock}`;
  }
  return heard === 'silence' ? `something at ${settings.url} takes connections and says nothing` : undefined;
}

/** ldapsearch's own status for "no server": anything else, a refusal included, is an answer. */
const CANNOT_CONTACT = 255;
const ANSWERS_WITHIN_MS = 10_000;

export async function isAnswering(settings: LdapServerSettings, signal: AbortSignal): Promise<boolean> {
  return (await call(settings, signal)) === 'an answer';
}

async function call({ url }: LdapServerSettings, signal: AbortSignal): Promise<'an answer' | 'silence' | 'nobody'> {
  try {
    const { exitCode } = await runTool({
      doing: `ask slapd at ${url}`,
      command: 'ldapsearch',
      args: ['-x', '-LLL', '-H', url, '-o', 'nettimeout=5', '-s', 'base', '-b', '', 'namingContexts'],
      // Who signed its certificate is no question here: nothing is sent.
      env: { LDAPTLS_REQCERT: 'never' },
      timeoutMs: ANSWERS_WITHIN_MS,
      accept: Array.from({ length: 256 }, (_, status) => status),
      signal,
    });
    return exitCode === CANNOT_CONTACT ? 'nobody' : 'an answer';
  } catch (error) {
    if (error instanceof AppError && error.code === 'TIMEOUT') return 'silence';
    throw error;
  }
}
