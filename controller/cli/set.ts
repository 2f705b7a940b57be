/** `holdfast set`: backup file sets, what restores work on. */
import type { Command } from 'commander';
import { AdminServiceService as Admin, SetState } from '#common/gen/holdfast/v1/admin.ts';
import type { BackupFileSet, VerifySetResponse } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Api } from './connect.ts';
import type { Context } from './context.ts';
import { Patience } from './follow.ts';
import { present, readLimit } from './options.ts';
import { printFields, printTable, size, time, word } from './output.ts';
import { say } from './terminal.ts';

export function addSet(program: Command, context: Context): void {
  const set = program.command('set').description('Backup file sets: all files of one run, what restores work on.');

  set
    .command('list')
    .description('List the sets, the newest first.')
    .option('--task <task>', 'only of this task')
    .option('--limit <n>', 'how many at most', '1000')
    .action(async (options: { task?: string; limit: string }) => {
      const limit = readLimit(options.limit);
      const sets = await context.withApi((api) =>
        api.list(
          Admin.listSets,
          (page) => ({ ...page, task: options.task ?? '' }),
          (response) => response.sets,
          limit,
        ),
      );
      context.print(sets.map(setView), () => {
        printTable(
          context.terminal,
          ['set', 'task', 'created', 'state', 'sources', 'stored', 'nodes', 'verified'],
          sets.map(row),
        );
      });
    });

  set
    .command('show <set>')
    .description('Show one set and its files.')
    .action(async (id: string) => {
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.getSet, { id })).set, 'set');
        context.print(setView(one), () => show(context, one));
      });
    });

  set
    .command('verify <set>')
    .description('Read back and hash every byte of a set on every vault; takes as long as reading it takes.')
    .option('--wait', 'wait for the end, as it always does: the answer is whether every byte is good')
    .action(async (id: string) => {
      await context.withApi(async (api) => {
        say(context.terminal, `verifying the set ${id}`);
        const answer = await verify(context, api, id);
        const { faults, readBytes } = answer;
        context.print({ set: answer.set === undefined ? undefined : setView(answer.set), faults, readBytes }, () => {
          printFields(context.terminal, [
            ['set', id],
            ['read', size(readBytes)],
            ['verified', time(answer.set?.verifiedMs ?? 0n)],
            ...faults.map((fault) => ['fault', fault] as const),
          ]);
        });
        if (faults.length > 0) {
          throw new AppError('DAMAGED', `the set ${id} is damaged: ${faults.length} fault(s), the first: ${faults[0] ?? ''}`, {
            hint: 'Back up again, and test the disk of the vault named. A restore takes what is good from the other vault.',
          });
        }
      });
    });

  set
    .command('delete <set>')
    .description('Delete the files of a set on every vault. It cannot be brought back.')
    .option('--yes', 'do not ask')
    .action(async (id: string, options: { yes?: boolean }) => {
      await requireConsent(context.terminal, `delete the backup file set ${id} from every vault, for ever`, options.yes);
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.deleteSet, { requestId: newRequestId(), id })).set, 'set');
        say(context.terminal, `deleting the set ${id}`);
        if (context.options.json === true) context.print(setView(one), () => undefined);
      });
    });
}

/** One request id throughout: when the controller restarts in between, asking again means the same verification. */
async function verify(context: Context, api: Api, id: string): Promise<VerifySetResponse> {
  const requestId = newRequestId();
  await api.call(Admin.getSet, { id });
  const again = new Patience(context.terminal, { note: (text) => say(context.terminal, text) }, true);
  for (;;) {
    try {
      return await api.call(Admin.verifySet, { requestId, id }, {});
    } catch (error) {
      await again.wait(error);
    }
  }
}

function storedBytes(set: BackupFileSet): bigint {
  return set.files.reduce((sum, { archive, index, manifest }) => {
    return sum + (archive?.sizeBytes ?? 0n) + (index?.sizeBytes ?? 0n) + (manifest?.sizeBytes ?? 0n);
  }, 0n);
}

function stateOf(set: BackupFileSet): string {
  return word(SetState, set.state, 'SET_STATE_');
}

function row(set: BackupFileSet): string[] {
  return [
    set.id,
    set.task,
    time(set.createdMs),
    stateOf(set),
    set.files.map(({ source }) => source).join(', '),
    size(storedBytes(set)),
    set.nodes.join(', '),
    time(set.verifiedMs),
  ];
}

function show(context: Context, set: BackupFileSet): void {
  printFields(context.terminal, [
    ['set', set.id],
    ['task', set.task],
    ['run', set.runId],
    ['created', time(set.createdMs)],
    ['state', stateOf(set)],
    ['missing', set.missingSources.join(', ')],
    ['nodes', set.nodes.join(', ')],
    ['verified', time(set.verifiedMs)],
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

function setView(set: BackupFileSet) {
  return { ...set, state: stateOf(set) };
}
