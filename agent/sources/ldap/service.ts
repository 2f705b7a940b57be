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

/** Where the address is wrong, or slapd hangs, the lock that MDB keeps on an open database tells. */
async function whyRunning(
  settings: LdapServerSettings,
  directories: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (await isAnswering(settings, signal)) return `it answers at ${settings.url}`;
  for (const directory of directories) {
    const lock = join(directory, 'lock.mdb');
    if (await isLocked(lock)) return `a process holds ${lock}`;
  }
  return undefined;
}

/** ldapsearch's own status for "no server": anything else, a refusal included, is an answer. */
const CANNOT_CONTACT = 255;
const ANSWERS_WITHIN_MS = 10_000;

export async function isAnswering({ url }: LdapServerSettings, signal: AbortSignal): Promise<boolean> {
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
    return exitCode !== CANNOT_CONTACT;
  } catch (error) {
    // It takes connections and says nothing.
    if (error instanceof AppError && error.code === 'TIMEOUT') return false;
    throw error;
  }
}
