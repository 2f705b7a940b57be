/** NameNode: the metadata of HDFS. */
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { removeStagedBefore } from './configuration/placement.ts';
import { prepareNameNodeBackup } from './name-node/backup.ts';
import { planNameNodeRestore } from './name-node/plan.ts';
import { nameNodeService, prepareNameNodeRestore } from './name-node/restore.ts';
import { nameDirectoriesOf } from './name-node/settings.ts';
import type { NameNodeSettings } from './name-node/settings.ts';
import { commitCutOff, undoSwitch } from './service-switch.ts';
import type { Source } from './source.ts';

export { nameNodeSettingsSchema } from './name-node/settings.ts';

export function createNameNodeSource(settings: NameNodeSettings, clock: Clock = systemClock): Source {
  return {
    name: 'NameNode',
    prepareBackup: (request, io) => prepareNameNodeBackup(settings, request, io),
    planRestore: (request, io) => planNameNodeRestore(settings, request, io),
    prepareRestore: (request, io) => Promise.resolve(prepareNameNodeRestore(settings, request, io, clock)),
    undoRestore: (undo, io) => undoSwitch(nameNodeService(settings), undo, io),
    commitRestore: (undo, io) => commitCutOff(undo, io),
    async removeStaged({ directory }) {
      const places = directory === undefined ? nameDirectoriesOf(settings) : [directory];
      for (const place of places) await removeStagedBefore(place);
    },
  };
}
