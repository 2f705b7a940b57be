/** The backup of slapd: its configuration and each of its databases by slapcat, while it runs, and its TLS keys. */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { measureTree, statOrMissing } from '../configuration/tree.ts';
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
      hint: "Correct ldapServer in the agent's configuration.",
    });
  }
  return {
    async estimate() {
      const config = join(io.workDirectory, 'estimate.ldif');
      await slapcat(settings, settings.configDirectory, 0, config, io.signal);
      const directories = databasesOf(await readFile(config, 'utf8')).map(({ directory }) => directory);
      let bytes = 0n;
      for (const directory of [settings.configDirectory, ...directories]) bytes += (await measureTree(directory)).bytes;
      return bytes;
    },
    backup: () => backUp(settings, version, io),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function backUp(settings: LdapServerSettings, version: string, io: SourceIo): Promise<BackupContent> {
  const at = (name: string) => join(io.workDirectory, name);
  await mkdir(at(layout.root), { mode: 0o700 });
  await slapcat(settings, settings.configDirectory, 0, at(layout.config), io.signal);
  const databases: LdapDatabase[] = [];
  for (const database of databasesOf(await readFile(at(layout.config), 'utf8'))) {
    const path = at(layout.database(database.number));
    const entries = await slapcat(settings, settings.configDirectory, database.number, path, io.signal);
    io.log('info', `${database.suffix}: ${entries} entries`);
    io.progress('dump', BigInt((await stat(path)).size), undefined);
    databases.push({ ...database, entries });
  }
  const { tlsDirectory } = settings;
  const facts: LdapFacts = {
    version,
    configDirectory: settings.configDirectory,
    databases,
    owners: await ownersOf([settings.configDirectory, ...databases.map(({ directory }) => directory)], io.signal),
    hasTls: tlsDirectory !== undefined,
  };
  return {
    roots: [
      { from: at(layout.root), as: layout.root },
      ...(tlsDirectory === undefined ? [] : [{ from: tlsDirectory, as: layout.tls, xattrs: true }]),
    ],
    facts: encodeFacts(facts),
  };
}

/** By name: the user `openldap` may have another number on the node of the restore. */
async function ownersOf(paths: readonly string[], signal: AbortSignal): Promise<LdapFacts['owners']> {
  const owners: LdapFacts['owners'] = {};
  for (const path of paths) {
    const { stdout } = await runTool({ doing: `look at ${path}`, command: 'stat', args: ['-c', '%U:%G %a', path], signal });
    const [owner = 'root:root', mode = '700'] = stdout.trim().split(' ');
    owners[path] = { owner, mode };
  }
  return owners;
}

/** Where a path is, or would be. */
export async function nearestExisting(path: string): Promise<string> {
  return (await statOrMissing(path)) === undefined ? nearestExisting(dirname(path)) : path;
}
