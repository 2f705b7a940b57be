/** The restore of slapd: new directories by slapadd, compared, then switched while it is stopped. */
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskTime } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { stagePlacement } from '../configuration/placement.ts';
import type { Placed } from '../configuration/placement.ts';
import { statOrMissing } from '../configuration/tree.ts';
import { commitSwitch, removeAllStaged, startService, switchDirectories, undoSwitch } from '../service-switch.ts';
import type { PreparedRestore, RestoreRequest, SourceIo, UndoRecord } from '../source.ts';
import { decodeFacts, layout } from './facts.ts';
import type { LdapFacts } from './facts.ts';
import { placesOf } from './places.ts';
import type { LdapServerSettings } from './settings.ts';
import { relocate, slapadd, slapcat } from './slapd.ts';
import { isAnswering, slapdService } from './service.ts';

export function prepareLdapRestore(
  settings: LdapServerSettings,
  request: RestoreRequest,
  io: SourceIo,
  clock: Clock,
): PreparedRestore {
  const facts = decodeFacts(request.facts);
  const places = placesOf(settings, facts, request.directory);
  const service = slapdService(settings, places.inPlace);
  const placed: Placed[] = [];
  let undo: UndoRecord | undefined;
  let switched = false;

  return {
    async stage(unpacked) {
      const staged = await loadStaged(settings, facts, places.databaseDirectory, unpacked, io);
      const time = diskTime(clock.now());
      const add = async (from: string, to: string) => placed.push(await stagePlacement(from, to, time, io.signal));
      for (const { number } of facts.databases) await add(staged.database(number), places.databaseDirectory(number));
      await add(staged.config, places.config);
      if (places.tls !== undefined) await add(join(unpacked, layout.tls), places.tls);
    },

    async switchOver(saveUndo) {
      const ran = places.inPlace && (await isAnswering(settings, io.signal));
      switched = true;
      const save = async (record: UndoRecord) => {
        undo = record;
        await saveUndo(record);
      };
      await switchDirectories(service, placed, ran, save, io.signal);
    },

    async check() {
      const lines: string[] = [];
      for (const { number, suffix, entries } of facts.databases) {
        const found = await slapcat(settings, places.config, number, join(io.workDirectory, 'check.ldif'), io.signal);
        if (found !== entries) throw new AppError('FAILED', `check ${suffix}: it has ${found} entries instead of ${entries}`);
        lines.push(`${suffix}: ${entries} entries as in the backup`);
      }
      if (!places.inPlace) return lines;
      await startService(service, io.signal);
      if (!(await isAnswering(settings, io.signal)))
        throw new AppError('FAILED', `slapd was started and does not answer at ${settings.url}`);
      return [...lines, `slapd answers at ${settings.url}`];
    },

    commit: () => commitSwitch(placed, io),
    async rollBack() {
      if (undo !== undefined) await undoSwitch(service, undo, io);
    },
    async [Symbol.asyncDispose]() {
      if (!switched) await removeAllStaged(placed, io);
    },
  };
}

interface StagedDirectories {
  readonly config: string;
  readonly database: (number: number) => string;
}

/** Loads everything into the work directory, reads it back and compares. What slapd runs on is not touched. */
async function loadStaged(
  settings: LdapServerSettings,
  facts: LdapFacts,
  finalDirectory: (number: number) => string,
  unpacked: string,
  io: SourceIo,
): Promise<StagedDirectories> {
  const at = (name: string) => join(io.workDirectory, name);
  const staged: StagedDirectories = { config: at('slapd.d'), database: (number) => at(`database-${number}`) };
  const config = await readFile(join(unpacked, layout.config), 'utf8');

  // slapadd knows the place of a database only from a configuration: one of its own, that points here.
  const loader = at('loader.d');
  await mkdir(loader);
  for (const { number } of facts.databases) await mkdir(staged.database(number), { mode: 0o700 });
  await writeFile(at('loader.ldif'), relocate(config, staged.database));
  await slapadd(settings, loader, 0, at('loader.ldif'), io.signal);
  for (const { number, suffix } of facts.databases) {
    const ldif = join(unpacked, layout.database(number));
    io.log('info', `loading ${suffix}`);
    await slapadd(settings, loader, number, ldif, io.signal);
    await slapcat(settings, loader, number, at('loaded.ldif'), io.signal);
    if (!(await readFile(at('loaded.ldif'))).equals(await readFile(ldif))) {
      throw new AppError('DAMAGED', `load ${suffix}: what slapcat reads back is not what was backed up`);
    }
  }

  await loadConfig(settings, facts, relocate(config, finalDirectory), finalDirectory, staged.config, io);
  for (const { number, directory } of facts.databases) await giveTo(facts.owners[directory], staged.database(number), io.signal);
  // The loader's own lock and data files stay behind with it.
  await rm(loader, { recursive: true });
  return staged;
}

/** The final configuration names directories that a disaster may have taken: slapadd wants to see them. */
async function loadConfig(
  settings: LdapServerSettings,
  facts: LdapFacts,
  ldif: string,
  finalDirectory: (number: number) => string,
  to: string,
  io: SourceIo,
): Promise<void> {
  const path = join(io.workDirectory, 'config.ldif');
  await mkdir(to, { mode: 0o700 });
  await writeFile(path, ldif);
  const made: { directory: string; topmost: string }[] = [];
  try {
    for (const { number } of facts.databases) {
      const directory = finalDirectory(number);
      if ((await statOrMissing(directory)) !== undefined) continue;
      const topmost = await mkdir(directory, { recursive: true, mode: 0o700 });
      if (topmost !== undefined) made.push({ directory, topmost });
    }
    await slapadd(settings, to, 0, path, io.signal);
  } finally {
    for (const { directory, topmost } of made.toReversed()) await removeMade(directory, topmost);
  }
  const [owner] = Object.values(facts.owners);
  await giveTo(owner, to, io.signal);
}

/** From `directory` up to the topmost that was made here. Empty: what came into them meanwhile stays, and is an error. */
async function removeMade(directory: string, topmost: string): Promise<void> {
  for (let path = directory; path.startsWith(topmost); path = dirname(path)) await rmdir(path);
}

async function giveTo(to: { owner: string; mode: string } | undefined, path: string, signal: AbortSignal): Promise<void> {
  if (to === undefined) return;
  const doing = `give ${path} to ${to.owner}`;
  await runTool({ doing, command: 'chown', args: ['-R', to.owner, path], signal });
  await runTool({ doing, command: 'chmod', args: [to.mode, path], signal });
}
