/** What a restore of a NameNode would do, found by looking only. */
import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { leftoversOf } from '../configuration/placement.ts';
import { statOrMissing } from '../configuration/tree.ts';
import { nearestExisting } from '../ldap/backup.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { decodeFacts, parseVersion } from './facts.ts';
import { runningNameNode } from './running.ts';
import type { NameNodeSettings } from './settings.ts';

/** Unpacked, and copied beside the final place. */
const SPACE_FACTOR = 2n;

export async function planNameNodeRestore(
  settings: NameNodeSettings,
  request: RestoreRequest,
  _io: SourceIo,
): Promise<RestorePlan> {
  const facts = decodeFacts(request.facts);
  const place = request.directory ?? settings.nameDirectory;
  const inPlace = request.directory === undefined;
  const refusals: string[] = [];
  const warnings: string[] = [];
  const mustBeStopped: string[] = [];

  const running = inPlace ? await runningNameNode(settings) : undefined;
  if (running !== undefined) {
    mustBeStopped.push('the NameNode (DataNodes may run)');
    refusals.push(`a NameNode runs on ${place}: ${running}; stop it first`);
  }
  const exists = (await statOrMissing(place)) !== undefined;
  if (exists && !inPlace) refusals.push(`${place} exists: choose a directory that is not there`);
  if (exists && inPlace) {
    const there = await versionOf(place);
    if (there !== undefined && there !== facts.clusterId) {
      refusals.push(`${place} is of the cluster ${there}, the backup is of ${facts.clusterId}: restore to another directory`);
    }
  }
  if (inPlace) {
    warnings.push(
      `HDFS goes back to transaction ${facts.lastTxid}: DataNodes delete blocks of files written since; keep them stopped where those blocks matter`,
    );
    for (const leftover of await leftoversOf(place))
      warnings.push(`${leftover} is left of an earlier restore: look at it, then remove it`);
  }
  const neededBytes = request.contentBytes * SPACE_FACTOR;
  const { bsize, bavail } = await statfs(await nearestExisting(place), { bigint: true });
  const freeBytes = bsize * bavail;
  if (freeBytes < neededBytes) refusals.push(`${neededBytes} bytes are needed where ${place} lies, and ${freeBytes} are free`);

  return {
    steps: [
      `build a name directory from the image at transaction ${facts.imageTxid} and the edits up to ${facts.lastTxid}, and read it offline`,
      `place it as ${place}`,
      ...(inPlace && settings.start !== undefined ? ['start the NameNode and wait until it serves'] : []),
    ],
    overwrites: exists && inPlace ? [place] : [],
    mustBeStopped,
    refusals,
    warnings,
    neededBytes,
    freeBytes,
  };
}

async function versionOf(nameDirectory: string): Promise<string | undefined> {
  const path = join(nameDirectory, 'current', 'VERSION');
  return (await statOrMissing(path)) === undefined ? undefined : parseVersion(await readFile(path, 'utf8')).clusterId;
}
