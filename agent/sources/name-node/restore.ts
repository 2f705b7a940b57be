/** The restore of a NameNode: a name directory built beside the old one, read offline, switched, and started where configured. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskTime } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { checkPlacement, stagePlacement } from '../configuration/placement.ts';
import type { Placed } from '../configuration/placement.ts';
import { giveTo } from '../ownership.ts';
import { commitSwitch, removeAllStaged, startService, switchDirectories, undoSwitch } from '../service-switch.ts';
import type { Service } from '../service-switch.ts';
import type { PreparedRestore, RestoreRequest, SourceIo, UndoRecord } from '../source.ts';
import { ROOT, decodeFacts, parseVersion } from './facts.ts';
import type { NameNodeFacts } from './facts.ts';
import { requireReadable } from './hdfs-tools.ts';
import { readPoint, requireImageMd5 } from './name-directory.ts';
import { runningNameNode, waitUntilServing } from './running.ts';
import { nameDirectoriesOf } from './settings.ts';
import type { NameNodeSettings } from './settings.ts';
import { askStorage, sameDirectories } from './storage.ts';

export function nameNodeService(settings: NameNodeSettings): Service {
  return {
    name: 'the NameNode',
    start: settings.start,
    stop: settings.stop,
    timeoutMs: settings.timeout,
    running: (directories) => runningNameNode(settings.rpcAddress, directories),
  };
}

export function prepareNameNodeRestore(
  settings: NameNodeSettings,
  request: RestoreRequest,
  io: SourceIo,
  clock: Clock,
): PreparedRestore {
  const facts = decodeFacts(request.facts);
  const inPlace = request.directory === undefined;
  const places = request.directory === undefined ? nameDirectoriesOf(settings) : [request.directory];
  const service = nameNodeService(settings);
  const placed: Placed[] = [];
  let undo: UndoRecord | undefined;
  let switched = false;

  return {
    async stage(unpacked) {
      const directory = join(unpacked, ROOT);
      await requireWhole(settings, directory, facts, io);
      await giveTo(facts, directory, io.signal);
      for (const place of places) placed.push(await stagePlacement(directory, place, diskTime(clock.now()), io.signal));
    },

    async switchOver(saveUndo) {
      const running = inPlace ? await service.running(places, io.signal) : undefined;
      if (running !== undefined) {
        throw new AppError('REFUSED', `switch ${places.join(', ')}: a NameNode has been started meanwhile: ${running}`);
      }
      switched = true;
      const save = async (record: UndoRecord) => {
        undo = record;
        await saveUndo(record);
      };
      // It does not run, and must not after a roll back either.
      await switchDirectories(inPlace ? { ...service, stop: undefined } : undefined, placed, save, io);
    },

    async check() {
      const lines: string[] = [];
      for (const one of placed) lines.push(await checkPlacement(one));
      if (!inPlace || settings.start === undefined) {
        for (const place of places) await requireWhole(settings, place, facts, io);
        return [...lines, `${places.join(', ')}: everything up to transaction ${facts.lastTxid}, readable offline`];
      }
      await startService(service, io);
      lines.push(...(await waitUntilServing(settings, facts, clock, io.signal)));
      await requireOnly(settings, places, io.signal);
      return lines;
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

/** A directory that was not restored would have won by its newer edits, and the restore would have changed nothing. */
async function requireOnly(settings: NameNodeSettings, places: readonly string[], signal: AbortSignal): Promise<void> {
  const { directories, failed, journals } = await askStorage(settings, signal);
  const used = [...directories, ...failed];
  if (journals.length === 0 && failed.length === 0 && (await sameDirectories(used, places))) return;
  throw new AppError(
    'FAILED',
    `the NameNode was started on ${[...used, ...journals].join(', ')}, and what was restored is ${places.join(', ')}`,
    { hint: "List all of dfs.namenode.name.dir in nameNode.otherNameDirectories of the agent's configuration." },
  );
}

/** The cluster of the backup, MD5, no gap up to its last transaction, and an offline read. */
async function requireWhole(
  settings: NameNodeSettings,
  directory: string,
  facts: NameNodeFacts,
  io: Pick<SourceIo, 'workDirectory' | 'signal'>,
): Promise<void> {
  const current = join(directory, 'current');
  const { clusterId, namespaceId } = parseVersion(await readFile(join(current, 'VERSION'), 'utf8'));
  if (clusterId !== facts.clusterId || namespaceId !== facts.namespaceId) {
    throw new AppError('DAMAGED', `${current} is of the cluster ${clusterId}, the backup of ${facts.clusterId}`);
  }
  const point = await readPoint(current, BigInt(facts.lastTxid));
  if (String(point.imageTxid) !== facts.imageTxid) {
    throw new AppError('DAMAGED', `${current} has its image at transaction ${point.imageTxid}, the backup at ${facts.imageTxid}`);
  }
  await requireImageMd5(current, point.image, io.signal);
  await requireReadable(settings, current, point, io);
}
