/** A backup file set in words and as JSON. */
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import type { BackupFileSet } from '#common/gen/holdfast/v1/admin.ts';
import type { Context } from './context.ts';
import { printFields, printTable, size, time, word } from './output.ts';

export const SET_COLUMNS = ['set', 'task', 'created', 'state', 'sources', 'stored', 'nodes', 'verified'];

function storedBytes(set: BackupFileSet): bigint {
  return set.files.reduce((sum, { archive, index, manifest }) => {
    return sum + (archive?.sizeBytes ?? 0n) + (index?.sizeBytes ?? 0n) + (manifest?.sizeBytes ?? 0n);
  }, 0n);
}

function stateOf(set: BackupFileSet): string {
  return word(SetState, set.state, 'SET_STATE_');
}

/** A pinned one stays whatever its age, which is the first that whoever counts them must know. */
function shownState(set: BackupFileSet): string {
  return set.pinned ? `${stateOf(set)}, pinned` : stateOf(set);
}

export function setRow(set: BackupFileSet): string[] {
  return [
    set.id,
    set.task,
    time(set.createdMs),
    shownState(set),
    set.files.map(({ source }) => source).join(', '),
    size(storedBytes(set)),
    set.nodes.join(', '),
    time(set.verifiedMs),
  ];
}

export function showSet(context: Context, set: BackupFileSet): void {
  printFields(context.terminal, [
    ['set', set.id],
    ['task', set.task],
    ['run', set.runId],
    ['created', time(set.createdMs)],
    ['state', shownState(set)],
    ['missing', set.missingSources.join(', ')],
    ['nodes', set.nodes.join(', ')],
    ['verified', time(set.verifiedMs)],
    ...set.damaged.map(({ source, node, fault }) => ['damaged', `${source} on ${node}: ${fault}`] as const),
    ['version', set.productVersion],
  ]);
  context.terminal.out.write('\n');
  printTable(
    context.terminal,
    ['source', 'entries', 'content', 'stored', 'file', 'sha-256'],
    set.files.map((file) => [
      file.source,
      String(file.entries),
      size(file.contentBytes),
      size(file.archive?.sizeBytes ?? 0n),
      file.archive?.key ?? '-',
      file.archive?.sha256 ?? '-',
    ]),
  );
}

export function setView(set: BackupFileSet) {
  return { ...set, state: stateOf(set) };
}
