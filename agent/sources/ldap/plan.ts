/** What a restore of slapd would do, found by looking only. */
import { dirname } from 'node:path';
import { toAppError } from '#common/errors.ts';
import { addNeed, addNeedOfEach, noFindings, planOf } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { lookAtPlaces } from '../switch-plan.ts';
import { decodeFacts } from './facts.ts';
import type { LdapFacts } from './facts.ts';
import { allPlaces, placesOf } from './places.ts';
import type { Places } from './places.ts';
import { slapdService } from './service.ts';
import type { LdapServerSettings } from './settings.ts';
import { slapdVersion } from './slapd.ts';

/** A database that slapadd builds anew took up to 1.7 times what the one that had grown took. */
const ANEW = 2n;
/** Of backups that do not say what they took: with indexes of parts of words, tables and text were seen to differ by seven. */
const BY_TEXT = 16n;
/** Unpacked, read back to be compared, and once more after the switch. */
const TEXTS = 3n;

export async function planLdapRestore(settings: LdapServerSettings, request: RestoreRequest, io: SourceIo): Promise<RestorePlan> {
  const facts = decodeFacts(request.facts);
  const places = placesOf(settings, facts, request.directory);
  const found = noFindings();

  try {
    const version = await slapdVersion(settings, io.signal);
    const line = (text: string) => text.split('.').slice(0, 2).join('.');
    if (line(version) !== line(facts.version)) {
      found.warnings.push(`this node has slapd ${version}, the backup is of ${facts.version}: the configuration may not load`);
    }
  } catch (error) {
    found.refusals.push(toAppError(error, 'look at slapd').message);
  }
  if (facts.hasTls && places.tls === undefined) {
    found.refusals.push('the backup holds TLS keys, and ldapServer.tlsDirectory does not say where they go');
  }
  const all = allPlaces(places, facts);
  await lookAtSpace(facts, places, request, io, found);
  await lookAtPlaces(all, places.inPlace, found);
  const running = places.inPlace ? await slapdService(settings).running(all, io.signal) : undefined;
  if (running !== undefined) found.mustBeStopped.push(`slapd (${running}): stopped and started by this restore`);

  found.steps.push(
    ...facts.databases.map(
      ({ suffix, entries, number }) => `load ${suffix} (${entries} entries) for ${places.databaseDirectory(number)}`,
    ),
    ...(places.inPlace ? ['stop slapd, switch its directories, start it, check it'] : [`place it below ${request.directory}`]),
  );
  return planOf(found);
}

async function lookAtSpace(
  { allocated, configDirectory, databases }: LdapFacts,
  places: Places,
  { contentBytes }: RestoreRequest,
  { workDirectory }: SourceIo,
  found: Findings,
): Promise<void> {
  // Each database is loaded by a copy of the configuration, made from its text.
  const loader = (allocated[configDirectory] ?? contentBytes) * ANEW * 2n;
  await addNeed(found, workDirectory, contentBytes * TEXTS + loader * BigInt(databases.length));
  // How much of it is keys is not known.
  if (places.tls !== undefined) await addNeed(found, dirname(places.tls), contentBytes);

  const built = [
    { directory: configDirectory, place: places.config },
    ...databases.map(({ directory, number }) => ({ directory, place: places.databaseDirectory(number) })),
  ];
  const unknown: string[] = [];
  for (const { directory, place } of built) {
    const bytes = allocated[directory];
    if (bytes === undefined) unknown.push(dirname(place));
    else await addNeed(found, dirname(place), bytes * ANEW);
  }
  await addNeedOfEach(found, unknown, contentBytes * BY_TEXT);
}
