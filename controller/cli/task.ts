/** `holdfast task`: definitions of what is backed up, where to, and when. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Task } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Api } from './connect.ts';
import type { Context } from './context.ts';
import { present } from './options.ts';
import { printTable } from './output.ts';
import { addTaskRun } from './task-run.ts';
import { addTaskOptions, applyOptions, emptySpec } from './task-spec.ts';
import type { TaskOptions } from './task-spec.ts';
import { TASK_COLUMNS, showTask, taskRow, taskView } from './task-view.ts';
import { say } from './terminal.ts';

const EXAMPLES = `
Examples:
  every day, 7 sets:            holdfast task create nightly --source OMS --source LdapServer --every 24h --copies 7
  working days at half past 2:  holdfast task create office --source DBService --cron '30 2 * * 1-5' --zone Europe/Berlin
  kept for a year:              holdfast task modify nightly --copies 7 --weekly 5 --monthly 12`;

export function addTask(program: Command, context: Context): void {
  const task = program.command('task').description('Tasks: what is backed up, where to, and when.');

  addTaskOptions(task.command('create <name>').description('Make a task. Name: 3 to 128 letters, digits and underscores.'))
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, options: TaskOptions) => {
      const spec = applyOptions(emptySpec(name), options, context.terminal.clock.now());
      if (spec.sources.length === 0) {
        throw new AppError('INVALID', `create the task ${name}: it has no source`, {
          hint: 'Add --source for each of its sources.',
        });
      }
      await change(context, 'created', (api) => api.call(Admin.createTask, { requestId: newRequestId(), spec }));
    });

  task
    .command('list')
    .description('List the tasks.')
    .action(async () => {
      const tasks = await context.withApi((api) =>
        api.list(
          Admin.listTasks,
          (page) => page,
          (response) => response.tasks,
        ),
      );
      context.print(tasks.map(taskView), () => {
        if (tasks.length === 0) return say(context.terminal, 'no tasks');
        printTable(context.terminal, TASK_COLUMNS, tasks.map(taskRow));
      });
    });

  task
    .command('show <task>')
    .description('Show one task.')
    .action(async (name: string) => {
      await context.withApi(async (api) => showTask(context, present((await api.call(Admin.getTask, { name })).task, 'task')));
    });

  addTaskRun(task, context);

  task
    .command('lock <task>')
    .description('Keep a task from running by itself; stops it when it is running.')
    .action(async (name: string) => {
      await change(context, 'locked', (api) => api.call(Admin.lockTask, { requestId: newRequestId(), name }));
    });

  task
    .command('unlock <task>')
    .description('Let a locked task run by itself again, from its next start on: what was missed is not made up for.')
    .action(async (name: string) => {
      await change(context, 'unlocked', (api) => api.call(Admin.unlockTask, { requestId: newRequestId(), name }));
    });

  addTaskOptions(
    task
      .command('modify <task>')
      .description(
        'Change what is given, keep the rest; takes effect at the next run. The system task `default` runs every 24h: `--every` changes that.',
      ),
  ).action(async (name: string, options: TaskOptions) => {
    if (Object.keys(options).length === 0) {
      throw new AppError('INVALID', `modify the task ${name}: nothing to change was given`, {
        hint: 'Add what shall change; see --help.',
      });
    }
    await change(context, 'modified', async (api) => {
      const before = present((await api.call(Admin.getTask, { name })).task?.spec, 'task');
      return api.call(Admin.modifyTask, {
        requestId: newRequestId(),
        spec: applyOptions(before, options, context.terminal.clock.now()),
      });
    });
  });

  task
    .command('delete <task>')
    .description('Delete a task. Its backups stay; `holdfast set delete` deletes those.')
    .option('--yes', 'do not ask')
    .action(async (name: string, options: { yes?: boolean }) => {
      await requireConsent(context.terminal, `delete the task ${name} (its backups stay)`, options.yes);
      await context.withApi((api) => api.call(Admin.deleteTask, { requestId: newRequestId(), name }));
      say(context.terminal, `deleted the task ${name}; its backups stay`);
      if (context.options.json === true) context.print({ deleted: name }, () => undefined);
    });
}

async function change(context: Context, done: string, act: (api: Api) => Promise<{ task?: Task | undefined }>): Promise<void> {
  await context.withApi(async (api) => {
    const task = present((await act(api)).task, 'task');
    say(context.terminal, `${done} the task ${task.spec?.name ?? ''}`);
    showTask(context, task);
  });
}
