/** Alarms that the end of a run raises or clears. */
import { ALARMS, isTooLarge } from '#rules/alarms.ts';
import { formatSize } from '#common/bytes.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import type { Run } from '../model.ts';
import { clear, raise } from './alarms.ts';

export async function runAlarms(change: Change, io: EngineIo, run: Run): Promise<void> {
  if (run.kind === 'restore') return restoreAlarms(change, io, run);
  if (run.state === 'successful') await clear(change, io, ALARMS.periodicFailure.id, run.task);
  else if (run.trigger === 'period' && run.state === 'failed') {
    await raise(change, io, ALARMS.periodicFailure.id, run.task, run.fault?.message ?? `run ${run.id} failed`);
  }
  if (run.startedFrom?.system !== true) return;
  for (const { source, file, state } of run.sources) {
    if (file === undefined || state !== 'successful') continue;
    const { key, size } = file.archive;
    if (isTooLarge(source, size))
      await raise(change, io, ALARMS.tooLarge.id, source, `${key} has ${formatSize(size)}; it is kept`);
    else await clear(change, io, ALARMS.tooLarge.id, source);
  }
}

async function restoreAlarms(change: Change, io: EngineIo, run: Run): Promise<void> {
  for (const { source, state, fault } of run.sources) {
    if (state === 'successful') await clear(change, io, ALARMS.unknownState.id, source);
    else if (fault?.code === 'UNKNOWN_STATE') await raise(change, io, ALARMS.unknownState.id, source, fault.message);
  }
}
