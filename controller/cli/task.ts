/** `holdfast task`: definitions of what is backed up, where to, and when. */
import type { Command } from 'commander';
import { AdminServiceService as Admin, TaskState } from '#common/gen/holdfast/v1/admin.ts';
import type { Task } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Context } from './context.ts';
import { duration, printFields, printTable, time, word } from './output.ts';
import { present } from './options.ts';
import { finishRun, showRun } from './run.ts';
import { runStateOf, runView } from './run-view.ts';
import { addTaskOptions, applyOptions, describeMode, describeSource, emptySpec, sourceName, sourceView } from './task-spec.ts';
import type { TaskOptions } from './task-spec.ts';
import { say } from './terminal.ts';

export function addTask(program: Command, context: Context): void {
  const task = program.command('task').description('Tasks: what is backed up, where to, and when.');

  addTaskOptions(
    task.command('create <name>').description('Make a task. Name: 3 to 128 letters, digits and underscores.'),
  ).action(async (name: string, options: TaskOptions) => {
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
        printTable(context.terminal, ['task', 'state', 'mode', 'sources', 'copies', 'next start', 'last run'], tasks.map(row));
      });
    });

  task
    .command('show <task>')
    .description('Show one task.')
    .action(async (name: string) => {
      await context.withApi(async (api) => show(context, present((await api.call(Admin.getTask, { name })).task, 'task')));
    });

  task
    .command('run <task>')
    .description('Run it now, or as soon as the run before it has ended.')
    .option('--wait', 'follow the run until it has ended; the exit status is not 0 when it failed')
    .action(async (name: string, options: { wait?: boolean }) => {
      await context.withApi(async (api) => {
        const run = present((await api.call(Admin.runTask, { requestId: newRequestId(), name })).run, 'run');
        say(context.terminal, `run ${run.id} of the task ${name}: ${runStateOf(run)}`);
        if (options.wait === true) return finishRun(context, api, run.id, true);
        if (context.options.json !== true) say(context.terminal, `Follow it: holdfast run watch ${run.id}`);
        context.print(runView(run), () => showRun(context, run));
      });
    });

  task
    .command('lock <task>')
    .description('Keep a task from running by its period; stops it when it is running.')
    .action(async (name: string) => {
      await change(context, 'locked', (api) => api.call(Admin.lockTask, { requestId: newRequestId(), name }));
    });

  task
    .command('unlock <task>')
    .description('Let a locked task run by its period again.')
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

async function change(
  context: Context,
  done: string,
  act: (api: Parameters<Parameters<Context['withApi']>[0]>[0]) => Promise<{ task?: Task | undefined }>,
): Promise<void> {
  await context.withApi(async (api) => {
    const task = present((await act(api)).task, 'task');
    say(context.terminal, `${done} the task ${task.spec?.name ?? ''}`);
    show(context, task);
  });
}

function show(context: Context, task: Task): void {
  const { spec } = task;
  context.print(taskView(task), () => {
    printFields(context.terminal, [
      ['task', `${spec?.name ?? ''}${task.system ? ' (system task)' : ''}`],
      ['state', stateOf(task)],
      ['mode', describeMode(spec?.mode)],
      ['sources', spec?.sources.map(describeSource).join(', ') ?? ''],
      ['target', targetOf(task)],
      ['copies', String(spec?.copies ?? '')],
      ['next start', nextStart(context, task)],
      ['last run', task.lastRunId],
      ['created', time(task.createdMs)],
    ]);
  });
}

function nextStart(context: Context, task: Task): string {
  if (task.nextStartMs === 0n) return '-';
  const seconds = (Number(task.nextStartMs) - context.terminal.clock.now()) / 1000;
  return seconds > 0 ? `${time(task.nextStartMs)} (in ${duration(seconds)})` : time(task.nextStartMs);
}

function row(task: Task): string[] {
  const { spec } = task;
  return [
    spec?.name ?? '',
    stateOf(task),
    describeMode(spec?.mode),
    spec?.sources.map(sourceName).join(', ') ?? '',
    String(spec?.copies ?? ''),
    time(task.nextStartMs),
    task.lastRunId === '' ? '-' : task.lastRunId,
  ];
}

/** A locked task that runs by hand shows both. */
function stateOf(task: Task): string {
  const state = word(TaskState, task.state, 'TASK_STATE_');
  return task.locked && state !== 'locked' ? `${state}, locked` : state;
}

function targetOf(task: Task): string {
  return task.spec?.target?.pathType?.$case === 'localDir' ? 'LocalDir' : 'unknown';
}

function taskView(task: Task) {
  const { spec } = task;
  const periodic = spec?.mode?.$case === 'periodic' ? spec.mode.value : undefined;
  return {
    name: spec?.name,
    state: word(TaskState, task.state, 'TASK_STATE_'),
    locked: task.locked,
    system: task.system,
    mode: periodic === undefined ? 'manual' : 'periodic',
    periodSeconds: periodic?.periodSeconds,
    startMs: periodic?.startMs,
    sources: spec?.sources.map(sourceView),
    target: targetOf(task),
    copies: spec?.copies,
    createdMs: task.createdMs,
    nextStartMs: task.nextStartMs,
    lastRunId: task.lastRunId,
  };
}
