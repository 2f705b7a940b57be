/** Records → the messages that both services share. */
import type { RestoreOptions as RestoreOptionsMessage } from '#common/gen/holdfast/v1/agent.ts';
import { BackupPolicy } from '#common/gen/holdfast/v1/types.ts';
import type { BackupFile as FileMessage, Source, StoredFile } from '#common/gen/holdfast/v1/types.ts';
import type { StoredName } from '#common/manifest.ts';
import type { BackupFile, RestoreOptions, TaskSource } from '../model.ts';

export function sourceMessage({ source, databases, nameService }: TaskSource): Source {
  const policy = BackupPolicy.BACKUP_POLICY_FULL;
  switch (source) {
    case 'OMS':
      return { policy, kind: { $case: 'oms', value: {} } };
    case 'LdapServer':
      return { policy, kind: { $case: 'ldapServer', value: {} } };
    case 'DBService':
      return { policy, kind: { $case: 'dbService', value: { databases: [...databases] } } };
    case 'NameNode':
      return { policy, kind: { $case: 'nameNode', value: { nameService } } };
  }
}

export function restoreOptionsMessage(options: RestoreOptions): RestoreOptionsMessage {
  const { renameDatabases, directory, otherVersion, otherTopology } = options;
  return { renameDatabases: [...renameDatabases], directory, otherVersion, otherTopology };
}

export function fileMessage(file: BackupFile): FileMessage {
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
