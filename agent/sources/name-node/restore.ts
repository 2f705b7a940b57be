/** The restore of a NameNode: a name directory built beside the old one, read offline, switched, and started where configured. */
import { join } from 'node:path';
import { diskTime } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';
import { checkPlacement, stagePlacement } from '../configuration/placement.ts';
import type { Placed } from '../configuration/placement.ts';
import { commitSwitch, removeAllStaged, startService, switchDirectories, undoSwitch } from '../service-switch.ts';
import type { Service } from '../service-switch.ts';
import type { PreparedRestore, RestoreRequest, SourceIo, UndoRecord } from '../source.ts';
import { ROOT, decodeFacts } from './facts.ts';
import type { NameNodeFacts } from './facts.ts';
import { requireReadable } from './hdfs-tools.ts';
import { readPoint, requireImageMd5 } from './name-directory.ts';
import { runningNameNode, waitUntilServing } from './running.ts';
import type { NameNodeSettings } from './settings.ts';

export function nameNodeService(settings: NameNodeSettings): Service {
  return { name: 'the NameNode', start: settings.start, stop: settings.stop, timeoutMs: settings.timeout };
}

export function prepareNameNodeRestore(
  settings: NameNodeSettings,
  request: RestoreRequest,
  io: SourceIo,
  clock: Clock,
): PreparedRestore {
  const facts = decodeFacts(request.facts);
  const inPlace = request.directory === undefined;
  const place = request.directory ?? settings.nameDirectory;
  // Elsewhere nothing is stopped or started: what runs is not concerned.
  const service = inPlace ? nameNodeService(settings) : { ...nameNodeService(settings), start: undefined, stop: undefined };
  const placed: Placed[] = [];
  let undo: UndoRecord | undefined;
  let switched = false;

  return {
    async stage(unpacked) {
      const directory = join(unpacked, ROOT);
      await requireWhole(settings, directory, facts, io.signal);
      const doing = `give the name directory to ${facts.owner}`;
      await runTool({ doing, command: 'chown', args: ['-R', facts.owner, directory], signal: io.signal });
      await runTool({ doing, command: 'chmod', args: [facts.mode, directory], signal: io.signal });
      placed.push(await stagePlacement(directory, place, diskTime(clock.now()), io.signal));
    },

    async switchOver(saveUndo) {
      const running = inPlace ? await runningNameNode(settings) : undefined;
      if (running !== undefined)
        throw new AppError('REFUSED', `switch ${place}: a NameNode has been started meanwhile: ${running}`);
      switched = true;
      const save = async (record: UndoRecord) => {
        undo = record;
        await saveUndo(record);
      };
      // It did not run, and must not after a roll back either.
      await switchDirectories({ ...service, stop: undefined }, placed, false, save, io);
    },

    async check() {
      const lines: string[] = [];
      for (const one of placed) lines.push(await checkPlacement(one));
      if (!inPlace || settings.start === undefined) {
        await requireWhole(settings, place, facts, io.signal);
        return [...lines, `${place} holds everything up to transaction ${facts.lastTxid}, readable offline`];
      }
      await startService(service, io);
      return [...lines, ...(await waitUntilServing(settings, facts, clock, io.signal))];
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

/** MD5, no gap up to the last transaction of the backup, and an offline read. */
async function requireWhole(
  settings: NameNodeSettings,
  directory: string,
  facts: NameNodeFacts,
  signal: AbortSignal,
): Promise<void> {
  const current = join(directory, 'current');
  const point = await readPoint(current, BigInt(facts.lastTxid));
  if (String(point.imageTxid) !== facts.imageTxid) {
    throw new AppError('DAMAGED', `${current} has its image at transaction ${point.imageTxid}, the backup at ${facts.imageTxid}`);
  }
  await requireImageMd5(current, point.image, signal);
  await requireReadable(settings, current, point, signal);
}
