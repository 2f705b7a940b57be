/** What a restore of slapd would do, found by looking only. */
import { toAppError } from '#common/errors.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { lookAtPlaces } from '../switch-plan.ts';
import { decodeFacts } from './facts.ts';
import { allPlaces, placesOf } from './places.ts';
import { slapdService } from './service.ts';
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
  if (facts.hasTls && places.tls === undefined) {
    refusals.push('the backup holds TLS keys, and ldapServer.tlsDirectory does not say where they go');
  }
  const all = allPlaces(places, facts);
  const neededBytes = request.contentBytes * SPACE_FACTOR;
  const looked = await lookAtPlaces(all, places.inPlace, neededBytes);
  refusals.push(...looked.refusals);
  warnings.push(...looked.warnings);
  const running = places.inPlace ? await slapdService(settings).running(all, io.signal) : undefined;

  return {
    steps: [
      ...facts.databases.map(
        ({ suffix, entries, number }) => `load ${suffix} (${entries} entries) for ${places.databaseDirectory(number)}`,
      ),
      ...(places.inPlace ? ['stop slapd, switch its directories, start it, check it'] : [`place it below ${request.directory}`]),
    ],
    overwrites: looked.existing,
    mustBeStopped: running === undefined ? [] : [`slapd (${running}): stopped and started by this restore`],
    refusals,
    warnings,
    neededBytes,
    freeBytes: looked.freeBytes,
  };
}
