/**
 * Loads a backup of slapd into new directories beside the final ones, reads it back and compares. What slapd runs on is not touched.
 * Not through a copy: a database file of MDB is as large as it may ever grow, mostly holes.
 */
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { buildPlacement, removeStaged } from '../configuration/placement.ts';
import type { Placed } from '../configuration/placement.ts';
import { statOrMissing } from '../configuration/tree.ts';
import { giveTo } from '../ownership.ts';
import type { Ownership } from '../ownership.ts';
import type { SourceIo } from '../source.ts';
import { layout } from './facts.ts';
import type { LdapDatabase, LdapFacts } from './facts.ts';
import type { Places } from './places.ts';
import type { LdapServerSettings } from './settings.ts';
import { isSameConfig, relocate, slapadd, slapcat } from './slapd.ts';

/** Databases first, the configuration last. On failure nothing of it is left. */
export async function loadBeside(
  settings: LdapServerSettings,
  facts: LdapFacts,
  places: Places,
  unpacked: string,
  time: string,
  io: SourceIo,
): Promise<Placed[]> {
  const config = await readFile(join(unpacked, layout.config), 'utf8');
  const placed: Placed[] = [];
  try {
    for (const database of facts.databases) {
      const load = (staged: string) => loadDatabase(settings, facts, database, config, unpacked, staged, io);
      placed.push(await buildPlacement(places.databaseDirectory(database.number), time, io.signal, load));
    }
    const load = (staged: string) => loadConfig(settings, facts, places, config, staged, io);
    placed.push(await buildPlacement(places.config, time, io.signal, load));
    return placed;
  } catch (error) {
    for (const one of placed.toReversed()) await removeStaged(one);
    throw error;
  }
}

async function loadDatabase(
  settings: LdapServerSettings,
  facts: LdapFacts,
  { number, suffix, directory }: LdapDatabase,
  config: string,
  unpacked: string,
  staged: string,
  io: SourceIo,
): Promise<void> {
  io.log('info', `loading ${suffix}`);
  const at = (name: string) => join(io.workDirectory, `${name}-${number}`);
  // slapadd knows the place of a database only from a configuration: one of its own, whose other databases are nowhere.
  const nowhere = at('nowhere');
  for (const path of [staged, at('loader'), nowhere]) await mkdir(path, { mode: 0o700 });
  await writeFile(
    at('loader.ldif'),
    relocate(config, (other) => (other === number ? staged : nowhere)),
  );
  await slapadd(settings, at('loader'), 0, at('loader.ldif'), io.signal);
  const ldif = join(unpacked, layout.database(number));
  await slapadd(settings, at('loader'), number, ldif, io.signal);
  await slapcat(settings, at('loader'), number, at('loaded'), io.signal);
  const { exitCode } = await runTool({
    doing: `compare ${suffix} with the backup`,
    command: 'cmp',
    args: ['-s', '--', at('loaded'), ldif],
    accept: [0, 1],
    signal: io.signal,
  });
  if (exitCode !== 0) throw notTheSame(suffix);
  await giveTo(ownershipIn(facts, directory), staged, io.signal);
}

/** The configuration names directories that a disaster may have taken: slapadd wants to see them. */
async function loadConfig(
  settings: LdapServerSettings,
  facts: LdapFacts,
  places: Places,
  config: string,
  staged: string,
  io: SourceIo,
): Promise<void> {
  const path = join(io.workDirectory, 'config.ldif');
  const wanted = places.inPlace ? config : relocate(config, places.databaseDirectory);
  await mkdir(staged, { mode: 0o700 });
  await writeFile(path, wanted);
  const made: { directory: string; topmost: string }[] = [];
  try {
    for (const { number } of facts.databases) {
      const directory = places.databaseDirectory(number);
      if ((await statOrMissing(directory)) !== undefined) continue;
      const topmost = await mkdir(directory, { recursive: true, mode: 0o700 });
      if (topmost !== undefined) made.push({ directory, topmost });
    }
    await slapadd(settings, staged, 0, path, io.signal);
    const loaded = join(io.workDirectory, 'loaded-config');
    await slapcat(settings, staged, 0, loaded, io.signal);
    if (!isSameConfig(await readFile(loaded, 'utf8'), wanted)) throw notTheSame('cn=config');
  } finally {
    for (const { directory, topmost } of made.toReversed()) await removeMade(directory, topmost);
  }
  await giveTo(ownershipIn(facts, facts.configDirectory), staged, io.signal);
}

/** From `directory` up to the topmost that was made here. Empty: what came into them meanwhile stays, and is an error. */
async function removeMade(directory: string, topmost: string): Promise<void> {
  for (let path = directory; path.startsWith(topmost); path = dirname(path)) await rmdir(path);
}

function ownershipIn(facts: LdapFacts, directory: string): Ownership {
  const found = facts.owners[directory];
  if (found === undefined) throw new AppError('DAMAGED', `the backup does not say whose ${directory} is`);
  return found;
}

function notTheSame(suffix: string): AppError {
  return new AppError('DAMAGED', `load ${suffix}: what slapcat reads back is not what was backed up`, {
    hint: 'Compare the version of slapd on this node with that of the backup; nothing was switched.',
  });
}
