/** The backup of slapd: its configuration and each of its databases by slapcat, while it runs, and its TLS keys. */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { statOrMissing } from '../configuration/tree.ts';
import { ownershipOf } from '../ownership.ts';
import type { BackupContent, PreparedBackup, SourceIo } from '../source.ts';
import { encodeFacts, layout } from './facts.ts';
import type { LdapDatabase, LdapFacts } from './facts.ts';
import type { LdapServerSettings } from './settings.ts';
import { databasesOf, slapcat, slapdVersion } from './slapd.ts';

/** Nothing is frozen: slapcat reads each database in one transaction. */
export async function prepareLdapBackup(settings: LdapServerSettings, io: SourceIo): Promise<PreparedBackup> {
  const version = await slapdVersion(settings, io.signal);
  for (const path of [settings.configDirectory, settings.tlsDirectory]) {
    if (path === undefined || (await statOrMissing(path))?.isDirectory() === true) continue;
    throw new AppError('NOT_FOUND', `back up LdapServer: there is no directory ${path}`, {
      hint: "Correct ldapServer in the agent's configuration; a link to a directory is none.",
    });
  }
  return {
    async estimate() {
      const config = join(io.workDirectory, 'estimate.ldif');
      await slapcat(settings, settings.configDirectory, 0, config, io.signal);
      const directories = databasesOf(await readFile(config, 'utf8')).map(({ directory }) => directory);
      return diskUsage([settings.configDirectory, ...directories], io.signal);
    },
    backup: () => backUp(settings, version, io),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** What is allocated, not what the files claim: one of MDB may claim all that it may ever grow to, and be mostly holes. */
async function diskUsage(paths: readonly string[], signal: AbortSignal): Promise<bigint> {
  const doing = 'measure the databases of slapd';
  const { stdout } = await runTool({ doing, command: 'du', args: ['-D', '-s', '-c', '-B1', '--', ...paths], signal });
  const total = /^(\d+)\ttotal$/m.exec(stdout)?.[1];
  if (total === undefined) throw new AppError('TOOL', `${doing}: du names no total: ${stdout.slice(-200)}`);
  return BigInt(total);
}

async function backUp(settings: LdapServerSettings, version: string, io: SourceIo): Promise<BackupContent> {
  await mkdir(join(io.workDirectory, layout.root), { mode: 0o700 });
  const databases = await dump(settings, io);
  const { configDirectory, tlsDirectory } = settings;
  const owners: LdapFacts['owners'] = {};
  const allocated: LdapFacts['allocated'] = {};
  for (const path of [configDirectory, ...databases.map(({ directory }) => directory)]) {
    owners[path] = await ownershipOf(path, io.signal);
    allocated[path] = await diskUsage([path], io.signal);
  }
  return {
    roots: [
      { from: join(io.workDirectory, layout.root), as: layout.root },
      ...(tlsDirectory === undefined ? [] : [{ from: tlsDirectory, as: layout.tls, xattrs: true }]),
    ],
    facts: encodeFacts({ version, configDirectory, databases, owners, allocated, hasTls: tlsDirectory !== undefined }),
  };
}

/** Entries need the schema that they were written by: when the configuration changed meanwhile, once more. */
async function dump(settings: LdapServerSettings, io: SourceIo, tries = 3): Promise<LdapDatabase[]> {
  const before = await dumpConfig(settings, io);
  const databases: LdapDatabase[] = [];
  for (const database of databasesOf(before)) {
    const path = join(io.workDirectory, layout.database(database.number));
    const entries = await slapcat(settings, settings.configDirectory, database.number, path, io.signal);
    io.log('info', `${database.suffix}: ${entries} entries`);
    io.progress('dump', BigInt((await stat(path)).size), undefined);
    databases.push({ ...database, entries });
  }
  if ((await dumpConfig(settings, io)) === before) return databases;
  if (tries === 1) {
    throw new AppError('FAILED', 'back up LdapServer: its configuration (cn=config) changed at each of three tries', {
      hint: 'Back up when nobody changes it.',
    });
  }
  io.log('warn', 'the configuration of slapd was changed meanwhile: dumping again');
  return dump(settings, io, tries - 1);
}

async function dumpConfig(settings: LdapServerSettings, io: SourceIo): Promise<string> {
  const path = join(io.workDirectory, layout.config);
  await slapcat(settings, settings.configDirectory, 0, path, io.signal);
  return readFile(path, 'utf8');
}
