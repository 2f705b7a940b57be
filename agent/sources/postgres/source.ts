/** A source made of PostgreSQL databases and configuration files beside them. */
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import type { SourceName } from '#common/names.ts';
import type { Source } from '../source.ts';
import { preparePostgresBackup } from './backup.ts';
import { commitPostgresRestore, removeStagedRestore } from './commit.ts';
import { planPostgresRestore } from './plan.ts';
import { preparePostgresRestore } from './restore.ts';
import type { PostgresSourceSettings } from './settings.ts';
import { undoPostgresRestore } from './undo.ts';

/** `prefix`: the top directory in the archive. */
export function createPostgresSource(
  name: SourceName,
  prefix: string,
  settings: PostgresSourceSettings,
  clock: Clock = systemClock,
): Source {
  return {
    name,
    prepareBackup: (request, io) => preparePostgresBackup(prefix, settings, request, io, clock),
    planRestore: (request, io) => planPostgresRestore(prefix, settings, request, io),
    prepareRestore: (request, io) => preparePostgresRestore(prefix, settings, request, io, clock),
    undoRestore: (undo, io) => undoPostgresRestore(settings, undo, io, clock),
    commitRestore: (undo, io) => commitPostgresRestore(settings, undo, io),
    removeStaged: (request, io) => removeStagedRestore(prefix, settings, request, io),
  };
}
