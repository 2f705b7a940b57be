/** What a restore of a NameNode would do, found by looking only. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { statOrMissing } from '../configuration/tree.ts';
import { addNeed, noFindings, planOf } from '../findings.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { lookAtPlaces } from '../switch-plan.ts';
import { decodeFacts, parseVersion } from './facts.ts';
import type { NameNodeFacts } from './facts.ts';
import { nameNodeService } from './restore.ts';
import { nameDirectoriesOf } from './settings.ts';
import type { NameNodeSettings } from './settings.ts';

export async function planNameNodeRestore(
  settings: NameNodeSettings,
  request: RestoreRequest,
  io: SourceIo,
): Promise<RestorePlan> {
  const facts = decodeFacts(request.facts);
  const inPlace = request.directory === undefined;
  const places = request.directory === undefined ? nameDirectoriesOf(settings) : [request.directory];
  const starts = inPlace && settings.start !== undefined;
  const found = noFindings();

  await addNeed(found, io.workDirectory, request.contentBytes);
  // A copy beside each. A NameNode that starts from an image of more than an hour ago writes one of its own before it serves.
  for (const place of places) await addNeed(found, dirname(place), request.contentBytes * (starts ? 2n : 1n));
  await lookAtPlaces(places, inPlace, found);

  if (inPlace) {
    const running = await nameNodeService(settings).running(places, io.signal);
    if (running !== undefined) {
      found.mustBeStopped.push('the NameNode (DataNodes may run)');
      found.refusals.push(`a NameNode runs on ${places.join(', ')}: ${running}; stop it first`);
    }
    found.refusals.push(...(await keepsNewer(facts, places)));
    for (const place of found.overwrites) {
      const there = await versionOf(place);
      if (there !== undefined && there !== facts.clusterId) {
        found.refusals.push(
          `${place} is of the cluster ${there}, the backup is of ${facts.clusterId}: restore to another directory`,
        );
      }
    }
    found.warnings.push(
      `HDFS goes back to transaction ${facts.lastTxid}: DataNodes delete blocks of files written since; keep them stopped where those blocks matter`,
    );
  }

  found.steps.push(
    `build a name directory from the image at transaction ${facts.imageTxid} and the edits up to ${facts.lastTxid}, and read it offline`,
    `place it as ${places.join(', ')}`,
    ...(starts ? ['start the NameNode and wait until it serves'] : []),
  );
  return planOf(found);
}

/** A NameNode starts from the newest that it finds: where newer edits stay, the restore would change nothing. */
async function keepsNewer({ directories, journals }: NameNodeFacts, places: readonly string[]): Promise<string[]> {
  const refusals = journals.map(
    (journal) =>
      `edits are also kept by ${journal}: restore to another directory, then place it on every NameNode by hand and run hdfs namenode -initializeSharedEdits`,
  );
  for (const directory of directories) {
    if (places.includes(directory) || (await statOrMissing(join(directory, 'current'))) === undefined) continue;
    refusals.push(`the NameNode keeps its metadata in ${directory} too: add it to nameNode.otherNameDirectories`);
  }
  return refusals;
}

async function versionOf(nameDirectory: string): Promise<string | undefined> {
  const path = join(nameDirectory, 'current', 'VERSION');
  return (await statOrMissing(path)) === undefined ? undefined : parseVersion(await readFile(path, 'utf8')).clusterId;
}
