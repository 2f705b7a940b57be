/** An agent says that an assignment has ended. It may say so twice, late, or of one that is not its own. */
import { AppError, toAppError, toFault } from '#common/errors.ts';
import type { FaultShape } from '#common/errors.ts';
import type { BackupDone, Finished } from '#common/gen/holdfast/v1/agent.ts';
import type { StoredFile } from '#common/gen/holdfast/v1/types.ts';
import type { StoredName } from '#common/manifest.ts';
import { ALARMS } from '#rules/alarms.ts';
import { raise } from '../alarms/alarms.ts';
import type { BackupFile, Run, SourceRun } from '../model.ts';
import { keysOfShare } from './assign.ts';
import { endShare, withShare } from './end-run.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { managementNodes, note } from './engine-io.ts';
import { leaveShareToClear } from './leftovers.ts';

/** Durable when it resolves: then the agent may forget it. */
export async function recordFinished(io: EngineIo, node: string, finished: Finished): Promise<void> {
  if (io.errands.finish(node, finished)) return;
  const { assignmentId, runId, attempt } = finished;
  await io.change(async (change) => {
    const run = await change.run(runId);
    const share = run?.sources.find((each) => each.assignmentId === assignmentId);
    if (run === undefined || share === undefined || share.node !== node || share.attempt !== attempt) {
      change.after(() =>
        io.log.info({ node, assignment: assignmentId, run: runId }, 'the end of an unknown assignment was ignored'),
      );
      return;
    }
    if (share.state === 'running') return endShare(change, io, run, endOf(io, run, share, finished));
    // One that was not given up was recorded the first time: this is told twice.
    if (share.givenUp) await hearLate(change, io, run, share, endOf(io, run, { ...share, fault: undefined }, finished));
  });
}

/** An attempt that was given up has come to its end after all: it is never adopted. What it wrote is cleared; what it restored is said. */
async function hearLate(change: Change, io: EngineIo, run: Run, share: SourceRun, end: SourceRun): Promise<void> {
  const said = `after it was given up, the agent of ${share.node} said: ${end.state}${end.fault === undefined ? '' : `, ${end.fault.message}`}`;
  await note(change, io, run.id, share.source, 'warn', said);
  if (run.kind === 'backup') await leaveShareToClear(change, io, run, share);
  if (end.fault?.code === 'UNKNOWN_STATE') await raise(change, io, ALARMS.unknownState.id, share.source, end.fault.message);
  // A restore that went through is not to be executed again, though its run has failed: see requestRestore.
  const wentThrough = run.kind === 'restore' && end.state === 'successful';
  await change.putRun(withShare(run, { ...(wentThrough ? end : share), givenUp: false }));
}

function endOf(io: EngineIo, run: Run, share: SourceRun, { outcome }: Finished): SourceRun {
  switch (outcome?.$case) {
    case 'failed':
    case 'unknownState':
      return { ...share, state: 'failed', fault: shortened(outcome.value) };
    case 'stopped':
      // Of itself, an agent stops only when it is shut down.
      return { ...share, state: run.stopReason === undefined ? 'failed' : 'stopped', fault: shortened(outcome.value) };
    case 'backup':
      if (run.kind !== 'backup') break;
      try {
        return { ...share, state: 'successful', ...storedBy(io, run, share, outcome.value) };
      } catch (error) {
        const fault = toFault(toAppError(error, `read the backup file that the agent of ${share.node} reports`));
        return { ...share, state: 'failed', fault };
      }
    case 'restore':
      if (run.kind !== 'restore') break;
      return { ...share, state: 'successful' };
    default:
      break;
  }
  const unknown = `the agent of ${share.node} ended the ${run.kind} of ${share.source} with ${outcome?.$case ?? 'nothing that is known'}`;
  return { ...share, state: 'failed', fault: toFault(new AppError('FAILED', unknown)) };
}

/** What a tool said may be of any length; an answer of the API holds many of these. */
const LONGEST_FAULT = 2000;

function shortened({ code, message, hint }: FaultShape): FaultShape {
  const end = message.length > LONGEST_FAULT ? ' … (the log of the agent has all of it)' : '';
  return { code, message: message.slice(0, LONGEST_FAULT) + end, hint: hint.slice(0, LONGEST_FAULT) };
}

/**
 * Nothing is believed that the share was not to do: grants to read and delete are made from these names later, and one that
 * points elsewhere would open another's backups. @throws AppError INVALID
 */
function storedBy(io: EngineIo, run: Run, share: SourceRun, { file, vaults }: BackupDone): Pick<SourceRun, 'file' | 'storedOn'> {
  const { manifest, archive, index, source, entries, contentBytes } = file ?? {};
  const keys = keysOfShare(run, share);
  if (source !== share.source) throw new AppError('INVALID', `it is of ${JSON.stringify(source)}, not of ${share.source}`);
  const stored: BackupFile = {
    source: share.source,
    manifest: storedAs(keys.manifest, manifest),
    archive: storedAs(keys.archive, archive),
    index: storedAs(keys.index, index),
    entries: Number(entries),
    contentBytes: contentBytes ?? 0n,
  };
  const took = vaults.filter(({ failed }) => failed === undefined).map(({ node }) => node);
  const storedOn = managementNodes(io.config).filter((node) => took.includes(node));
  if (!storedOn.includes(io.config.managementNodes.active)) {
    throw new AppError('INVALID', `it is not in the vault of the active management node ${io.config.managementNodes.active}`);
  }
  return { file: stored, storedOn };
}

function storedAs(key: string, reported: StoredFile | undefined): StoredName {
  if (reported?.key !== key) throw new AppError('INVALID', `it names ${JSON.stringify(reported?.key)} where ${key} is to be`);
  if (reported.sizeBytes < 0n || !/^[0-9a-f]{64}$/.test(reported.sha256)) {
    throw new AppError('INVALID', `it names no size and SHA-256 of ${key}`);
  }
  return { key, size: reported.sizeBytes, sha256: reported.sha256 };
}
