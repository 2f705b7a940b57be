/** Assignments as they come over the wire → plain jobs. What this version does not know is refused by name, never guessed. */
import { AppError } from '#common/errors.ts';
import type {
  Assign,
  RestoreOptions as ProtoOptions,
  SourceFile,
  VaultAccess as ProtoAccess,
} from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile as ProtoFile, Source as ProtoSource, StoredFile } from '#common/gen/holdfast/v1/types.ts';
import { assertNever } from '#common/assert-never.ts';
import { isSourceName } from '#common/names.ts';
import type { SourceName } from '#common/names.ts';
import type { StoredName } from '#common/manifest.ts';
import type { BackupRequest } from '../sources/source.ts';
import type { BackupFile, Job, ReadableFile, RestoreOptions, VaultAccess, Work } from '../run/job.ts';

/** @throws AppError INVALID */
export function jobOf(assign: Assign): Job {
  return { assignmentId: assign.assignmentId, runId: assign.runId, attempt: assign.attempt, work: workOf(assign) };
}

function workOf(assign: Assign): Work {
  const { work } = assign;
  if (work === undefined) throw unknownTo('kind of work', assign.assignmentId);
  switch (work.$case) {
    case 'backup': {
      const { value } = work;
      const source = required(value.source, 'source');
      return {
        kind: 'backup',
        task: value.task,
        taskCreatedMs: Number(value.taskCreatedMs),
        runStartedMs: Number(value.runStartedMs),
        setId: value.setId,
        setSources: value.setSources.map(sourceName),
        ...sourceOf(source),
        vaults: value.vaults.map(accessOf),
        topology: value.topology,
        minimumFreeBytes: value.minimumFreeBytes,
        productVersion: value.productVersion,
      };
    }
    case 'planRestore':
      return { kind: 'planRestore', ...readableOf(work.value.sourceFile), options: optionsOf(work.value.options) };
    case 'restore':
      return { kind: 'restore', ...readableOf(work.value.sourceFile), options: optionsOf(work.value.options) };
    case 'verify':
      return { kind: 'verify', files: work.value.files.map(fileOf), vault: accessOf(required(work.value.vault, 'vault')) };
    case 'delete':
      return {
        kind: 'delete',
        files: work.value.files.map(fileOf),
        incompletePrefixes: work.value.incompletePrefixes,
        manifestsOnly: work.value.manifestsOnly,
        vault: accessOf(required(work.value.vault, 'vault')),
      };
    case 'mirror':
      return {
        kind: 'mirror',
        files: work.value.files.map(fileOf),
        from: accessOf(required(work.value.from, 'from')),
        to: accessOf(required(work.value.to, 'to')),
      };
    case 'inventory':
      return { kind: 'inventory', vault: accessOf(required(work.value.vault, 'vault')), after: work.value.after };
    default:
      return assertNever(work);
  }
}

function sourceOf(source: ProtoSource): { source: SourceName; request: BackupRequest } {
  const { kind } = source;
  const request: BackupRequest = { databases: [], nameService: '' };
  if (kind === undefined) throw unknownTo('data source', 'this backup');
  switch (kind.$case) {
    case 'oms':
      return { source: 'OMS', request };
    case 'ldapServer':
      return { source: 'LdapServer', request };
    case 'dbService':
      return { source: 'DBService', request: { ...request, databases: kind.value.databases } };
    case 'nameNode':
      return { source: 'NameNode', request: { ...request, nameService: kind.value.nameService } };
    default:
      return assertNever(kind);
  }
}

function readableOf(of: SourceFile | undefined): ReadableFile {
  const { file, vaults } = required(of, 'source file');
  return { file: fileOf(required(file, 'backup file')), vaults: vaults.map(accessOf) };
}

function fileOf(file: ProtoFile): BackupFile {
  return {
    source: sourceName(file.source),
    manifest: storedOf(file.manifest),
    archive: storedOf(file.archive),
    index: storedOf(file.index),
    entries: Number(file.entries),
    contentBytes: file.contentBytes,
  };
}

function storedOf(stored: StoredFile | undefined): StoredName {
  const { key, sizeBytes, sha256 } = required(stored, 'stored file');
  return { key, size: sizeBytes, sha256 };
}

function accessOf({ node, url, grant, active }: ProtoAccess): VaultAccess {
  return { node, url, grant, active };
}

function optionsOf(options: ProtoOptions | undefined): RestoreOptions {
  const renames = (options?.renameDatabases ?? []).map((rename) => {
    const [from, to, ...rest] = rename.split('=');
    if (!from || !to || rest.length > 0) throw new AppError('INVALID', `${JSON.stringify(rename)} does not say from=to`);
    return [from, to] as const;
  });
  return { renameDatabases: Object.fromEntries(renames), directory: options?.directory === '' ? undefined : options?.directory };
}

function sourceName(text: string): SourceName {
  if (!isSourceName(text)) throw unknownTo('data source', text);
  return text;
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AppError('INVALID', `the assignment names no ${what}`);
  return value;
}

function unknownTo(what: string, which: string): AppError {
  return new AppError('INVALID', `this agent does not know the ${what} of ${which}`, {
    hint: 'Upgrade the agent to the version of the controller.',
  });
}
