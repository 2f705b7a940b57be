/** The tools of OpenLDAP. They read and write the databases themselves: slapd may run while slapcat does, and must not while slapadd does. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import type { LdapDatabase } from './facts.ts';
import type { LdapServerSettings } from './settings.ts';

type Tools = Pick<LdapServerSettings, 'toolsDirectory' | 'timeout'>;

/** "2.5.13". */
export async function slapdVersion({ toolsDirectory, timeout }: Tools, signal: AbortSignal): Promise<string> {
  const doing = 'ask slapd for its version';
  const { stdout, stderr } = await runTool({
    doing,
    command: join(toolsDirectory, 'slapd'),
    args: ['-VV'],
    timeoutMs: timeout,
    signal,
  });
  const version = /slapd (\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1];
  if (version === undefined) throw new AppError('TOOL', `${doing}: its answer names none: ${(stdout + stderr).slice(0, 200)}`);
  return version;
}

/** Writes the database, operational attributes and all, and answers how many entries it has. Database 0 is the configuration. */
export async function slapcat(settings: Tools, config: string, number: number, to: string, signal: AbortSignal): Promise<number> {
  const doing = `dump the LDAP database ${number}`;
  await runTool({
    doing,
    command: join(settings.toolsDirectory, 'slapcat'),
    args: ['-F', config, '-n', String(number), '-l', to],
    timeoutMs: settings.timeout,
    signal,
  });
  const ldif = await readFile(to, 'latin1');
  // slapcat ends each entry with an empty line: a file that ends otherwise is cut.
  if (ldif !== '' && !ldif.endsWith('\n\n')) throw new AppError('TOOL', `${doing}: slapcat did not write it to its end`);
  return ldif.split('\ndn:').length - 1 + (ldif.startsWith('dn:') ? 1 : 0);
}

export async function slapadd(settings: Tools, config: string, number: number, from: string, signal: AbortSignal): Promise<void> {
  await runTool({
    doing: `load the LDAP database ${number}`,
    command: join(settings.toolsDirectory, 'slapadd'),
    // -q: fewer checks of what slapcat wrote a moment ago, ten times as fast; what was loaded is compared afterwards.
    args: [...(number === 0 ? [] : ['-q']), '-F', config, '-n', String(number), '-l', from],
    timeoutMs: settings.timeout,
    signal,
  });
}

/** The databases that a configuration (the LDIF of database 0) has, with their directories. */
export function databasesOf(config: string): Omit<LdapDatabase, 'entries'>[] {
  return unfold(config)
    .split('\n\n')
    .flatMap((entry) => {
      const number = /^dn: olcDatabase=\{(\d+)\}/m.exec(entry)?.[1];
      const directory = valueOf(entry, 'olcDbDirectory');
      if (number === undefined || directory === undefined || number === '0') return [];
      return [{ number: Number(number), suffix: valueOf(entry, 'olcSuffix') ?? '', directory }];
    });
}

/** The same configuration with its databases in other directories. */
export function relocate(config: string, directoryOf: (number: number) => string): string {
  return unfold(config)
    .split('\n\n')
    .map((entry) => {
      const number = /^dn: olcDatabase=\{(\d+)\}/m.exec(entry)?.[1];
      if (number === undefined) return entry;
      return entry.replaceAll(/^olcDbDirectory::? .*$/gm, () => `olcDbDirectory: ${directoryOf(Number(number))}`);
    })
    .join('\n\n');
}

/** LDIF breaks long lines: a line that begins with a space continues the one before. */
function unfold(ldif: string): string {
  return ldif.replaceAll('\n ', '');
}

/** "name: text" or "name:: base64". */
function valueOf(entry: string, name: string): string | undefined {
  const match = new RegExp(`^${name}:(:?) (.*)$`, 'm').exec(entry);
  return match?.[1] === ':' ? Buffer.from(match[2] ?? '', 'base64').toString() : match?.[2];
}
