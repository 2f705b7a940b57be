/** Alarms that the end of a run raises or clears. */
import { formatSize } from '#common/bytes.ts';
import { SOURCE_NAMES } from '#common/names.ts';
import { ALARMS, isTooLarge } from '#rules/alarms.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import type { Run } from '../model.ts';
import { clear, raise } from './alarms.ts';

export async function runAlarms(change: Change, io: EngineIo, run: Run): Promise<void> {
  if (run.kind === 'restore') return restoreAlarms(change, io, run);
  if (run.state === 'successful') await clear(change, io, ALARMS.periodicFailure.id, run.task);
  else if (run.trigger === 'period' && run.state === 'failed') {
    await raise(change, io, ALARMS.periodicFailure.id, run.task, run.fault?.message ?? `run ${run.id} failed`);
  }
  if (run.startedFrom?.system === true) await sizeAlarms(change, io, run);
}

/** 12058, of the system task, which has specifications. A source that it does not back up any more has nothing to be too large. */
async function sizeAlarms(change: Change, io: EngineIo, run: Run): Promise<void> {
  for (const source of SOURCE_NAMES) {
    const share = run.sources.find((each) => each.source === source);
    const archive = share?.state === 'successful' ? share.file?.archive : undefined;
    if (archive !== undefined && isTooLarge(source, archive.size, io.config.defaultTask.specifications)) {
      await raise(change, io, ALARMS.tooLarge.id, source, `${archive.key} has ${formatSize(archive.size)}; it is kept`);
    } else if (archive !== undefined || share === undefined) await clear(change, io, ALARMS.tooLarge.id, source);
  }
}

/** 12035. A restore into another place says nothing of the state that is unknown, so it clears nothing. */
async function restoreAlarms(change: Change, io: EngineIo, run: Run): Promise<void> {
  const options = (await change.restore(run.task))?.options;
  const inPlace = options !== undefined && options.directory === '' && options.renameDatabases.length === 0;
  for (const { source, state, fault } of run.sources) {
    if (state === 'successful' && inPlace) await clear(change, io, ALARMS.unknownState.id, source);
    else if (fault?.code === 'UNKNOWN_STATE') await raise(change, io, ALARMS.unknownState.id, source, fault.message);
  }
}
