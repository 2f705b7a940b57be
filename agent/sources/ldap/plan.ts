/** What a restore of slapd would do, found by looking only. */
import { statfs } from 'node:fs/promises';
import { toAppError } from '#common/errors.ts';
import { leftoversOf } from '../configuration/placement.ts';
import { statOrMissing } from '../configuration/tree.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { nearestExisting } from './backup.ts';
import { decodeFacts } from './facts.ts';
import { allPlaces, placesOf } from './places.ts';
import { isAnswering } from './service.ts';
import type { LdapServerSettings } from './settings.ts';
import { slapdVersion } from './slapd.ts';

/** Loaded once in the work directory and once beside the final place, with indexes: what was measured, rounded up. */
const SPACE_FACTOR = 4n;

export async function planLdapRestore(settings: LdapServerSettings, request: RestoreRequest, io: SourceIo): Promise<RestorePlan> {
  const facts = decodeFacts(request.facts);
  const places = placesOf(settings, facts, request.directory);
  const refusals: string[] = [];
  const warnings: string[] = [];

  try {
    const version = await slapdVersion(settings, io.signal);
    const line = (text: string) => text.split('.').slice(0, 2).join('.');
    if (line(version) !== line(facts.version)) {
      warnings.push(`this node has slapd ${version}, the backup is of ${facts.version}: the configuration may not load`);
    }
  } catch (error) {
    refusals.push(toAppError(error, 'look at slapd').message);
  }
  const overwrites: string[] = [];
  for (const path of allPlaces(places, facts)) {
    if ((await statOrMissing(path)) === undefined) continue;
    overwrites.push(path);
    if (!places.inPlace) refusals.push(`${path} exists: choose a directory that is empty or not there`);
    for (const leftover of await leftoversOf(path))
      warnings.push(`${leftover} is left of an earlier restore: look at it, then remove it`);
  }
  const running = places.inPlace && (await isAnswering(settings, io.signal));
  const neededBytes = request.contentBytes * SPACE_FACTOR;
  const { bsize, bavail } = await statfs(await nearestExisting(places.config), { bigint: true });
  const freeBytes = bsize * bavail;
  if (freeBytes < neededBytes)
    refusals.push(`${neededBytes} bytes are needed where ${places.config} lies, and ${freeBytes} are free`);

  return {
    steps: [
      ...facts.databases.map(
        ({ suffix, entries, number }) => `load ${suffix} (${entries} entries) for ${places.databaseDirectory(number)}`,
      ),
      ...(places.inPlace ? ['stop slapd, switch its directories, start it, check it'] : [`place it below ${request.directory}`]),
    ],
    overwrites,
    mustBeStopped: running ? [`slapd at ${settings.url}: stopped and started by this restore`] : [],
    refusals,
    warnings,
    neededBytes,
    freeBytes,
  };
}
