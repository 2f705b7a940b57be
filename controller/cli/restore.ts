/** `holdfast restore`: plan first, then create, then start. */
import type { Command } from 'commander';
import { AdminServiceService as Admin, TaskState } from '#common/gen/holdfast/v1/admin.ts';
import type { Restore } from '#common/gen/holdfast/v1/admin.ts';
import type { RestoreOptions } from '#common/gen/holdfast/v1/agent.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Api } from './connect.ts';
import type { Context } from './context.ts';
import { collect, present } from './options.ts';
import { printFields, printTable, time, word } from './output.ts';
import { printPlan, refusalsOf, requireStartable } from './restore-plan.ts';
import { finishRun, showRun } from './run.ts';
import { runStateOf, runView } from './run-view.ts';
import { readSourceName } from './task-spec.ts';
import { say } from './terminal.ts';

interface WhatOptions {
  readonly source?: readonly string[];
  readonly renameDatabase?: readonly string[];
  readonly toDirectory?: string;
  readonly otherVersion?: boolean;
  readonly otherTopology?: boolean;
}

export function addRestore(program: Command, context: Context): void {
  const restore = program.command('restore').description('Restores: plan, create, start. Only ever by hand.');

  addWhat(
    restore.command('plan <set>').description('Say what a restore would do and what stands in its way; changes nothing.'),
  ).action(async (setId: string, options: WhatOptions) => {
    await context.withApi((api) => showPlan(context, api, { setId, ...what(options) }));
  });

  addWhat(restore.command('create <name>').description('Define a restore of a set. Nothing is touched before it is started.'))
    .requiredOption('--set <set>', 'the backup file set to restore from')
    .action(async (name: string, options: WhatOptions & { set: string }) => {
      await context.withApi(async (api) => {
        const request = { requestId: newRequestId(), name, setId: options.set, ...what(options) };
        const one = present((await api.call(Admin.createRestore, request)).restore, 'restore');
        say(context.terminal, `created the restore ${name}; start it: holdfast restore start ${name} --wait`);
        context.print(restoreView(one), () => show(context, one));
      });
    });

  restore
    .command('start <restore>')
    .description('Do it: overwrites what the plan names. A failed restore rolls back by itself.')
    .option('--wait', 'follow the run until it has ended; the exit status is not 0 when it failed')
    .option('--yes', 'do not show the plan and ask')
    .action(async (name: string, options: { wait?: boolean; yes?: boolean }) => {
      await context.withApi(async (api) => {
        if (options.yes !== true && context.terminal.interactive) await showPlanOf(context, api, name);
        await requireConsent(context.terminal, `restore ${name}, overwriting what is there now`, options.yes);
        const run = present((await api.call(Admin.startRestore, { requestId: newRequestId(), name })).run, 'run');
        say(context.terminal, `run ${run.id} of the restore ${name}: ${runStateOf(run)}`);
        if (options.wait === true) return finishRun(context, api, run.id, true);
        if (context.options.json !== true) say(context.terminal, `Follow it: holdfast run watch ${run.id}`);
        context.print(runView(run), () => showRun(context, run));
      });
    });

  restore
    .command('list')
    .description('List the restores.')
    .action(async () => {
      const restores = await context.withApi((api) =>
        api.list(
          Admin.listRestores,
          (page) => page,
          (response) => response.restores,
        ),
      );
      context.print(restores.map(restoreView), () => {
        if (restores.length === 0) return say(context.terminal, 'no restores');
        printTable(context.terminal, ['restore', 'state', 'set', 'sources', 'created', 'last run'], restores.map(row));
      });
    });

  restore
    .command('show <restore>')
    .description('Show one restore.')
    .action(async (name: string) => {
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.getRestore, { name })).restore, 'restore');
        context.print(restoreView(one), () => show(context, one));
      });
    });
}

function addWhat(command: Command): Command {
  return command
    .option('--source <source>', 'only this source of the set; repeat for each', collect)
    .option('--rename-database <from=to>', 'of OMS and DBService: restore under another name; repeat for each', collect)
    .option('--to-directory <dir>', 'into this directory of the node instead; nothing running is touched')
    .option('--other-version', 'although the backup is of another version of Holdfast; recorded')
    .option('--other-topology', 'although hosts or services differ from those at the backup; recorded');
}

function what(options: WhatOptions): { sources: string[]; options: RestoreOptions } {
  return {
    sources: options.source?.map(readSourceName) ?? [],
    options: {
      renameDatabases: [...(options.renameDatabase ?? [])],
      directory: options.toDirectory ?? '',
      otherVersion: options.otherVersion ?? false,
      otherTopology: options.otherTopology ?? false,
    },
  };
}

async function showPlan(
  context: Context,
  api: Api,
  request: { setId: string; sources: string[]; options: RestoreOptions | undefined },
): Promise<void> {
  const plan = present((await api.call(Admin.planRestore, request)).plan, 'plan');
  context.print({ ...plan, startable: refusalsOf(plan).length === 0 }, () => printPlan(context.terminal.out, plan));
  requireStartable(plan);
}

/** On standard error: it is said to the person who is about to answer. */
async function showPlanOf(context: Context, api: Api, name: string): Promise<void> {
  const { setId, sources, options } = present((await api.call(Admin.getRestore, { name })).restore, 'restore');
  const plan = present((await api.call(Admin.planRestore, { setId, sources, options })).plan, 'plan');
  printPlan(context.terminal.err, plan);
  requireStartable(plan);
}

function stateOf(restore: Restore): string {
  return word(TaskState, restore.state, 'TASK_STATE_');
}

function sourcesOf(restore: Restore): string {
  return restore.sources.length === 0 ? 'all' : restore.sources.join(', ');
}

function row(restore: Restore): string[] {
  const lastRun = restore.lastRunId === '' ? '-' : restore.lastRunId;
  return [restore.name, stateOf(restore), restore.setId, sourcesOf(restore), time(restore.createdMs), lastRun];
}

function show(context: Context, restore: Restore): void {
  const { options } = restore;
  printFields(context.terminal, [
    ['restore', restore.name],
    ['state', stateOf(restore)],
    ['set', restore.setId],
    ['sources', sourcesOf(restore)],
    ['renamed databases', options?.renameDatabases.join(', ') ?? ''],
    ['directory', options?.directory ?? ''],
    ['other version', options?.otherVersion === true ? 'allowed' : ''],
    ['other topology', options?.otherTopology === true ? 'allowed' : ''],
    ['created', time(restore.createdMs)],
    ['last run', restore.lastRunId],
  ]);
}

function restoreView(restore: Restore) {
  return { ...restore, state: stateOf(restore) };
}
