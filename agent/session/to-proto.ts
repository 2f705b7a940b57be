/** Plain ends of jobs → messages. */
import { assertNever } from '#common/assert-never.ts';
import type { Finished } from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile as ProtoFile, StoredFile } from '#common/gen/holdfast/v1/types.ts';
import type { StoredName } from '#common/manifest.ts';
import type { BackupFile, FinishedJob, Outcome } from '../run/job.ts';

export function finishedMessage(job: FinishedJob): Finished {
  return {
    assignmentId: job.assignmentId,
    runId: job.runId,
    attempt: job.attempt,
    endedMs: BigInt(job.endedMs),
    outcome: outcomeMessage(job.outcome),
  };
}

function outcomeMessage(outcome: Outcome): NonNullable<Finished['outcome']> {
  switch (outcome.kind) {
    case 'failed':
      return { $case: 'failed', value: outcome.fault };
    case 'stopped':
      return { $case: 'stopped', value: outcome.fault };
    case 'unknownState':
      return { $case: 'unknownState', value: outcome.fault };
    case 'backup':
      return {
        $case: 'backup',
        value: { file: fileMessage(outcome.file), vaults: outcome.vaults.map(({ node, fault }) => ({ node, failed: fault })) },
      };
    case 'planRestore': {
      const { plan, source } = outcome;
      return {
        $case: 'planRestore',
        value: {
          plan: {
            source,
            // The controller knows from whom the message came.
            node: '',
            steps: [...plan.steps],
            overwrites: [...plan.overwrites],
            mustBeStopped: [...plan.mustBeStopped],
            refusals: [...plan.refusals],
            warnings: [...plan.warnings],
            neededBytes: plan.neededBytes,
            freeBytes: plan.freeBytes,
          },
        },
      };
    }
    case 'restore':
      return { $case: 'restore', value: { checks: [...outcome.checks], restoredBytes: outcome.restoredBytes } };
    case 'verify':
      return {
        $case: 'verify',
        value: {
          faults: outcome.damage.map(({ fault }) => fault),
          readBytes: outcome.readBytes,
          damage: outcome.damage.map(({ file, fault }) => ({ manifestKey: file.manifest.key, fault })),
        },
      };
    case 'delete':
      return { $case: 'delete', value: { keys: [...outcome.keys] } };
    case 'mirror':
      return { $case: 'mirror', value: { copiedBytes: outcome.copiedBytes } };
    case 'inventory': {
      const manifests = outcome.manifests.map(({ file, content, fault }) => ({ file: storedMessage(file), content, fault }));
      return { $case: 'inventory', value: { manifests, next: outcome.next } };
    }
    default:
      return assertNever(outcome);
  }
}

function fileMessage(file: BackupFile): ProtoFile {
  return {
    source: file.source,
    manifest: storedMessage(file.manifest),
    archive: storedMessage(file.archive),
    index: storedMessage(file.index),
    entries: BigInt(file.entries),
    contentBytes: file.contentBytes,
  };
}

function storedMessage({ key, size, sha256 }: StoredName): StoredFile {
  return { key, sizeBytes: size, sha256 };
}
