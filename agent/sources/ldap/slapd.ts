/** The tools of OpenLDAP. They read and write the databases themselves: slapd may run while slapcat does, and must not while slapadd does. */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { statOrMissing } from '../configuration/tree.ts';
import type { LdapDatabase } from './facts.ts';
import type { LdapServerSettings } from './settings.ts';

type Tools = Pick<LdapServerSettings, 'toolsDirectory' | 'timeout'>;

/** The oldest whose slapcat and slapadd work as they are called here. */
const OLDEST_MINOR = 4;

/** "2.5.13". @throws AppError TOOL when it is not OpenLDAP's, or of a version that this agent does not know. */
export async function slapdVersion({ toolsDirectory, timeout }: Tools, signal: AbortSignal): Promise<string> {
  const doing = 'ask slapd for its version';
  const { stdout, stderr } = await runTool({
    doing,
    command: join(toolsDirectory, 'slapd'),
    args: ['-VV'],
    timeoutMs: timeout,
    signal,
  });
  const said = stdout + stderr;
  const [, version, major, minor] = /OpenLDAP: slapd ((\d+)\.(\d+)\.\d+)/.exec(said) ?? [];
  const hint = "Set ldapServer.toolsDirectory in the agent's configuration to where the tools of the running slapd are.";
  if (version === undefined) {
    const answered = JSON.stringify(said.slice(0, 200));
    throw new AppError('TOOL', `${doing}: ${join(toolsDirectory, 'slapd')} is not OpenLDAP's: it answered ${answered}`, { hint });
  }
  if (major !== '2' || Number(minor) < OLDEST_MINOR) {
    const known = `2.${OLDEST_MINOR} and newer of 2`;
    throw new AppError('TOOL', `${doing}: ${join(toolsDirectory, 'slapd')} is of version ${version}, and ${known} are known`, {
      hint,
    });
  }
  return version;
}

/** Writes the database, operational attributes and all, and answers how many entries it has. Database 0 is the configuration. */
export async function slapcat(settings: Tools, config: string, number: number, to: string, signal: AbortSignal): Promise<number> {
  const doing = `dump the LDAP database ${number}`;
  await rm(to, { force: true });
  await runTool({
    doing,
    command: join(settings.toolsDirectory, 'slapcat'),
    // -g: not what is glued below it, which is a database of its own.
    args: ['-g', '-F', config, '-n', String(number), '-l', to],
    timeoutMs: settings.timeout,
    signal,
  });
  if ((await statOrMissing(to)) === undefined) throw wroteNothing(doing, settings);
  // slapcat ends each entry with an empty line: a file that ends otherwise is cut.
  const end = await lastBytes(to, 2);
  if (end !== '' && end !== '\n\n') throw new AppError('TOOL', `${doing}: slapcat did not write it to its end`);
  const entries = await countEntries(to, signal);
  // A database may be empty, a configuration never is: all the databases would be missing, and nobody would know.
  if (number === 0 && entries === 0) throw wroteNothing(doing, settings);
  return entries;
}

function wroteNothing(doing: string, { toolsDirectory }: Tools): AppError {
  return new AppError('TOOL', `${doing}: ${join(toolsDirectory, 'slapcat')} ended well and wrote nothing`, {
    hint: "See that it is OpenLDAP's, and of the version of the running slapd: ldapServer.toolsDirectory in the agent's configuration.",
  });
}

/** Counted outside: a directory of millions is larger than a string may be. */
async function countEntries(ldif: string, signal: AbortSignal): Promise<number> {
  const { stdout } = await runTool({
    doing: `count the entries of ${ldif}`,
    command: 'grep',
    args: ['-a', '-c', '^dn:', '--', ldif],
    accept: [0, 1],
    signal,
  });
  return Number(stdout);
}

async function lastBytes(path: string, count: number): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  const buffer = Buffer.alloc(Math.min(count, size));
  await file.read(buffer, 0, buffer.length, size - buffer.length);
  return buffer.toString('latin1');
}

export async function slapadd(settings: Tools, config: string, number: number, from: string, signal: AbortSignal): Promise<void> {
  await runTool({
    doing: `load the LDAP database ${number}`,
    command: join(settings.toolsDirectory, 'slapadd'),
    // -q: fewer checks of what slapcat wrote a moment ago, ten times as fast; what was loaded is compared afterwards.
    args: [...(number === 0 ? [] : ['-q']), '-g', '-F', config, '-n', String(number), '-l', from],
    timeoutMs: settings.timeout,
    signal,
  });
}

/** Not one that an overlay keeps for itself, below another database. */
const DATABASE = /^dn: olcDatabase=\{(\d+)\}[^,]*,cn=config$/m;

/** The databases that a configuration (the LDIF of database 0) has, with their directories. Those without one (monitor, ldap, relay) hold no data. */
export function databasesOf(config: string): Omit<LdapDatabase, 'entries'>[] {
  return unfold(config)
    .split('\n\n')
    .flatMap((entry) => {
      const number = DATABASE.exec(entry)?.[1];
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
      const number = DATABASE.exec(entry)?.[1];
      if (number === undefined) return entry;
      return entry.replaceAll(/^olcDbDirectory::? .*$/gm, () => line('olcDbDirectory', directoryOf(Number(number))));
    })
    .join('\n\n');
}

/** Whether two configurations hold the same entries. slapd keeps the attributes of one in the order in which they were changed. */
export function isSameConfig(one: string, other: string): boolean {
  const sorted = (config: string) =>
    unfold(config)
      .split('\n\n')
      .map((entry) => entry.split('\n').toSorted().join('\n'));
  return sorted(one).join('\n\n') === sorted(other).join('\n\n');
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

function line(name: string, value: string): string {
  return /^[ -~]*[!-~]$/.test(value) ? `${name}: ${value}` : `${name}:: ${Buffer.from(value).toString('base64')}`;
}
