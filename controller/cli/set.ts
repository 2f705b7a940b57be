/** `holdfast set`: backup file sets, what restores work on. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { callThrough } from './call-through.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Context } from './context.ts';
import { noneOf, requireKnownName } from './of-task.ts';
import { present, readLimit } from './options.ts';
import { printFields, printTable, size, time } from './output.ts';
import { addSetImport } from './set-import.ts';
import { addSetPrune } from './set-prune.ts';
import { SET_COLUMNS, setRow, setView, showSet } from './set-view.ts';
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
      const { task } = options;
      const sets = await context.withApi(async (api) => {
        const found = await api.list(
          Admin.listSets,
          (page) => ({ ...page, task: task ?? '' }),
          (response) => response.sets,
          limit,
        );
        if (found.length === 0 && task !== undefined) await requireKnownName(api, task);
        return found;
      });
      context.print(sets.map(setView), () => {
        if (sets.length === 0) return say(context.terminal, noneOf('backup file sets', task));
        printTable(context.terminal, SET_COLUMNS, sets.map(setRow));
      });
    });

  set
    .command('show <set>')
    .description('Show one set and its files.')
    .action(async (id: string) => {
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.getSet, { id })).set, 'set');
        context.print(setView(one), () => showSet(context, one));
      });
    });

  set
    .command('verify <set>')
    .description('Read back and hash every byte of a set on every vault; takes as long as reading it takes.')
    .option('--wait', 'wait for the end, as it always does: the answer is whether every byte is good')
    .action(async (id: string) => {
      await context.withApi(async (api) => {
        say(context.terminal, `verifying the set ${id}`);
        await api.call(Admin.getSet, { id });
        const answer = await callThrough(context, (requestId) => api.call(Admin.verifySet, { requestId, id }, {}));
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
            hint: 'Test the disk of the vault named. A good copy in the other vault replaces the damaged one: verify again then; if there is none, back up again.',
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

  for (const [verb, done, method, description] of PINS) {
    set
      .command(`${verb} <set>`)
      .description(description)
      .action(async (id: string) => {
        await context.withApi(async (api) => {
          const one = present((await api.call(method, { requestId: newRequestId(), id })).set, 'set');
          say(context.terminal, `${done} the set ${id}`);
          context.print(setView(one), () => showSet(context, one));
        });
      });
  }

  addSetPrune(set, context);
  addSetImport(set, context);
}

const PINS = [
  ['pin', 'pinned', Admin.pinSet, 'Keep a set beside the copies, whatever its age, until it is unpinned.'],
  [
    'unpin',
    'unpinned',
    Admin.unpinSet,
    'Let a set go as any other: after the next good run of its task, or at `set prune`, when nothing else keeps it.',
  ],
] as const;
