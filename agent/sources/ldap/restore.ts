/** The restore of slapd: new directories by slapadd, compared, then switched while it is stopped. */
import { join } from 'node:path';
import { diskTime } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { checkPlacement, stagePlacement } from '../configuration/placement.ts';
import type { Placed } from '../configuration/placement.ts';
import { commitSwitch, removeAllStaged, startService, switchDirectories, undoSwitch } from '../service-switch.ts';
import type { PreparedRestore, RestoreRequest, SourceIo, UndoRecord } from '../source.ts';
import { decodeFacts, layout } from './facts.ts';
import { loadBeside } from './load.ts';
import { placesOf } from './places.ts';
import type { LdapServerSettings } from './settings.ts';
import { slapcat } from './slapd.ts';
import { isAnswering, slapdService } from './service.ts';

export function prepareLdapRestore(
  settings: LdapServerSettings,
  request: RestoreRequest,
  io: SourceIo,
  clock: Clock,
): PreparedRestore {
  const facts = decodeFacts(request.facts);
  const places = placesOf(settings, facts, request.directory);
  // Elsewhere nothing is stopped or started: what runs is not concerned.
  const service = slapdService(settings);
  const placed: Placed[] = [];
  let undo: UndoRecord | undefined;
  let switched = false;

  return {
    async stage(unpacked) {
      const time = diskTime(clock.now());
      placed.push(...(await loadBeside(settings, facts, places, unpacked, time, io)));
      if (places.tls !== undefined) placed.push(await stagePlacement(join(unpacked, layout.tls), places.tls, time, io.signal));
    },

    async switchOver(saveUndo) {
      switched = true;
      const save = async (record: UndoRecord) => {
        undo = record;
        await saveUndo(record);
      };
      await switchDirectories(places.inPlace ? service : undefined, placed, save, io);
    },

    async check() {
      // What was compared when it was loaded, and not something else, lies there.
      for (const one of placed) await checkPlacement(one);
      const lines: string[] = [];
      for (const { number, suffix, entries } of facts.databases) {
        const found = await slapcat(settings, places.config, number, join(io.workDirectory, 'check.ldif'), io.signal);
        if (found !== entries) throw new AppError('FAILED', `check ${suffix}: it has ${found} entries instead of ${entries}`);
        lines.push(`${suffix}: ${entries} entries as in the backup`);
      }
      if (!places.inPlace) return lines;
      await startService(service, io);
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
