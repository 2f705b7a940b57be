/** `holdfast task run`: one task now, or several, of which all are taken or none. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Run } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { newRequestId } from './connect.ts';
import type { Api } from './connect.ts';
import type { Context } from './context.ts';
import { requireSuccess } from './follow.ts';
import { present } from './options.ts';
import { followShown, showRun } from './run.ts';
import { runStateOf, runView } from './run-view.ts';
import { say } from './terminal.ts';

export function addTaskRun(task: Command, context: Context): void {
  task
    .command('run <task...>')
    .description('Run it now, or as soon as the runs before it have ended. Of several, in this order, all are taken or none.')
    .option('--wait', 'follow the runs until all have ended; the exit status is not 0 when one failed')
    .action(async (names: string[], options: { wait?: boolean }) => {
      requireDifferent(names);
      await context.withApi(async (api) => {
        const runs = await request(api, names);
        for (const run of runs) say(context.terminal, `run ${run.id} of the task ${run.task}: ${runStateOf(run)}`);
        if (options.wait === true) return waitForAll(context, api, runs);
        if (context.options.json !== true) {
          for (const { id } of runs) say(context.terminal, `Follow it: holdfast run watch ${id}`);
        }
        printRuns(context, runs);
      });
    });
}

function requireDifferent(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new AppError('INVALID', `the task ${twice} is named twice`, { hint: 'Name each task once.' });
}

async function request(api: Api, names: string[]): Promise<Run[]> {
  const requestId = newRequestId();
  const [name] = names;
  if (names.length > 1 || name === undefined) return (await api.call(Admin.runTasks, { requestId, names })).runs;
  return [present((await api.call(Admin.runTask, { requestId, name })).run, 'run')];
}

/** @throws AppError of the first that did not succeed, naming the others */
async function waitForAll(context: Context, api: Api, runs: readonly Run[]): Promise<void> {
  const ended: Run[] = [];
  for (const { id } of runs) ended.push(await followShown(context, api, id, true));
  printRuns(context, ended);
  const bad = ended.flatMap((run) => failureOf(run) ?? []);
  const [first, ...others] = bad;
  if (first === undefined) return;
  if (others.length === 0) throw first;
  throw new AppError(first.code, bad.map(({ message }) => message).join('; '), { hint: first.hint, cause: first });
}

function failureOf(run: Run): AppError | undefined {
  try {
    requireSuccess(run);
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** One is an object, several are a list. */
function printRuns(context: Context, runs: readonly Run[]): void {
  const views = runs.map(runView);
  context.print(views.length === 1 ? views[0] : views, () => {
    for (const [index, run] of runs.entries()) {
      if (index > 0) context.terminal.out.write('\n');
      showRun(context, run);
    }
  });
}
