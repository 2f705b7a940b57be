/** The share of one source in a run, as its agent is told it. Made anew at each telling: grants and addresses are of this moment. */
import { AppError } from '#common/errors.ts';
import type { Assign, VaultAccess } from '#common/gen/holdfast/v1/agent.ts';
import { backupFileKeys } from '#common/names.ts';
import type { BackupFileKeys } from '#common/names.ts';
import { nodesWithCopy } from '../model.ts';
import type { BackupSet, Restore, Run, SourceRun } from '../model.ts';
import type { EngineIo } from './engine-io.ts';
import { managementNodes } from './engine-io.ts';
import { prefixOf } from './grants.ts';
import { fileMessage, restoreOptionsMessage, sourceMessage } from './messages.ts';

/** @throws AppError UNAVAILABLE when the active vault is not connected: without it there is no backup. */
export function assignBackup(io: EngineIo, run: Run, share: SourceRun): Assign {
  const task = run.startedFrom;
  const source = task?.sources.find((candidate) => candidate.source === share.source);
  if (task === undefined || source === undefined || run.startedMs === undefined) {
    throw new AppError('BUG', `run ${run.id} has a share of ${share.source} without its task`);
  }
  return {
    assignmentId: share.assignmentId,
    runId: run.id,
    attempt: share.attempt,
    work: {
      $case: 'backup',
      value: {
        task: task.name,
        taskCreatedMs: BigInt(task.createdMs),
        runStartedMs: BigInt(run.startedMs),
        setId: run.setId,
        setSources: task.sources.map((each) => each.source),
        source: sourceMessage(source),
        vaults: vaultsToWrite(io, run, share),
        topology: [...run.topology],
        minimumFreeBytes: io.config.minimumFree,
        productVersion: run.productVersion,
      },
    },
  };
}

/** @throws AppError NOT_FOUND; UNAVAILABLE when no vault that holds the file is connected. */
export function assignRestore(
  io: EngineIo,
  run: Run,
  share: SourceRun,
  restore: Restore | undefined,
  set: BackupSet | undefined,
): Assign {
  if (restore === undefined || set === undefined) throw new AppError('NOT_FOUND', `the set ${run.setId} is gone`);
  const { source, attempt, assignmentId, node } = share;
  const sourceFile = readable(io, set, source, { agent: node, run: run.id, attempt });
  const options = restoreOptionsMessage(restore.options);
  return {
    assignmentId,
    runId: run.id,
    attempt,
    work: { $case: 'restore', value: { sourceFile, options, restoreName: restore.name } },
  };
}

/** A file of a set and the vaults to read it from, best first. @throws AppError NOT_FOUND; UNAVAILABLE */
export function readable(
  io: EngineIo,
  set: BackupSet,
  source: string,
  reader: { agent: string; run: string; attempt: number },
): { file: ReturnType<typeof fileMessage>; vaults: VaultAccess[] } {
  const held = set.files.find(({ file }) => file.source === source);
  if (held === undefined) throw new AppError('NOT_FOUND', `the set ${set.id} holds no backup file of ${source}`);
  const prefixes = [prefixOf(held.file.manifest.key)];
  // Damaged copies last: a restore trusts no byte of either, and what is damaged may be an index, which it does not need.
  const sound = managementNodes(io.config).filter((node) => held.nodes.includes(node));
  const damaged = managementNodes(io.config).filter((node) => held.damaged?.some((copy) => copy.node === node));
  const vaults = [...sound, ...damaged].flatMap((node) => vaultAccess(io, node, { ...reader, verbs: ['get', 'list'], prefixes }));
  if (vaults.length === 0) {
    const holders = nodesWithCopy(held).join(', ');
    throw new AppError('UNAVAILABLE', `no vault that holds ${source} of ${set.id} is connected (${holders})`, {
      hint: 'Start the agent of a management node that holds it.',
    });
  }
  return { file: fileMessage(held.file), vaults };
}

/** Nothing when that vault is not connected. */
export function vaultAccess(
  io: EngineIo,
  node: string,
  grant: Pick<Parameters<EngineIo['grants']>[0], 'agent' | 'run' | 'attempt' | 'verbs' | 'prefixes'>,
): VaultAccess[] {
  const facts = io.sessions.factsOf(node);
  if (facts?.vault === undefined || !facts.connected) return [];
  return [io.grants({ ...grant, vault: node, url: facts.vault.url, active: node === io.config.managementNodes.active })];
}

function vaultsToWrite(io: EngineIo, run: Run, share: SourceRun): VaultAccess[] {
  const prefixes = [prefixOfShare(run, share)];
  const vaults = managementNodes(io.config).flatMap((node) =>
    vaultAccess(io, node, {
      agent: share.node,
      run: run.id,
      attempt: share.attempt,
      verbs: ['put', 'list', 'delete', 'get'],
      prefixes,
    }),
  );
  if (!vaults.some(({ active }) => active)) {
    const { active } = io.config.managementNodes;
    throw new AppError('UNAVAILABLE', `the vault of the active management node ${active} is not connected`, {
      hint: `Start the agent of ${active}.`,
    });
  }
  return vaults;
}

/** Where the share of this source in a backup run lies in a vault. */
export function prefixOfShare(run: Run, share: SourceRun): string {
  return keysOfShare(run, share).prefix;
}

/** What the share of this source in a backup run is stored as: nothing else is believed of its agent. */
export function keysOfShare(run: Run, share: SourceRun): BackupFileKeys {
  return backupFileKeys({
    task: run.task,
    taskCreatedMs: run.startedFrom?.createdMs ?? 0,
    source: share.source,
    runStartedMs: run.startedMs ?? 0,
    version: run.productVersion,
  });
}
