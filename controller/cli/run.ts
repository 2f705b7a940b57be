/** `holdfast run`: executions of tasks and restores. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Run } from '#common/gen/holdfast/v1/admin.ts';
import { newRequestId } from './connect.ts';
import type { Api } from './connect.ts';
import type { Context } from './context.ts';
import { followRun, requireSuccess } from './follow.ts';
import { noneOf, requireKnownName } from './of-task.ts';
import { present, readLimit } from './options.ts';
import { printFields, printLines, printTable, size, time } from './output.ts';
import { createProgress } from './progress.ts';
import {
  describeProgress,
  isSkipped,
  runKind,
  runReason,
  runSeconds,
  runState,
  runStateOf,
  runTrigger,
  runView,
  setOf,
} from './run-view.ts';
import { say } from './terminal.ts';

export function addRun(program: Command, context: Context): void {
  const run = program.command('run').description('Runs: executions of tasks and restores, their progress and logs.');

  run
    .command('list')
    .description('List runs, the newest first, also those that were skipped, with why a run failed or was skipped.')
    .option('--task <task>', 'only of this task or restore')
    .option('--limit <n>', 'how many at most', '50')
    .action(async (options: { task?: string; limit: string }) => {
      const limit = readLimit(options.limit);
      const { task } = options;
      const runs = await context.withApi(async (api) => {
        const found = await api.list(
          Admin.listRuns,
          (page) => ({ ...page, task: task ?? '' }),
          (response) => response.runs,
          limit,
        );
        if (found.length === 0 && task !== undefined) await requireKnownName(api, task);
        return found;
      });
      context.print(runs.map(runView), () => {
        if (runs.length === 0) return say(context.terminal, noneOf('runs', task));
        printTable(
          context.terminal,
          ['run', 'kind', 'task', 'state', 'by', 'when', 'took', 'set', 'why'],
          runs.map((one) => row(one, context.terminal.clock.now())),
        );
      });
    });

  run
    .command('show <run>')
    .description('Show one run with its sources and their files.')
    .action(async (id: string) => {
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.getRun, { id })).run, 'run');
        context.print(runView(one), () => showRun(context, one));
      });
    });

  run
    .command('watch <run>')
    .description('Follow a run until it has ended; the exit status is not 0 when it failed.')
    .action(async (id: string) => {
      await context.withApi((api) => finishRun(context, api, id, false));
    });

  run
    .command('stop <run>')
    .description('Stop a run; what is incomplete is removed, earlier sets stay good.')
    .action(async (id: string) => {
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.stopRun, { requestId: newRequestId(), id })).run, 'run');
        say(context.terminal, `stopping the run ${id}: ${runState(one.state)}`);
        context.print(runView(one), () => showRun(context, one));
      });
    });

  run
    .command('log <run>')
    .description('Print the log of a run.')
    .action(async (id: string) => {
      const lines = await context.withApi((api) =>
        api.list(
          Admin.listRunLog,
          (page) => ({ ...page, id }),
          (response) => response.lines,
        ),
      );
      context.print(lines, () => {
        printLines(
          context.terminal,
          lines.map(
            (line) =>
              `${time(line.timeMs)} ${line.level.padEnd(5)} ${line.source === '' ? '' : `${line.source}: `}${line.message}`,
          ),
        );
      });
    });
}

/** Follows the run, prints it as it ended. @throws AppError when it did not succeed */
export async function finishRun(context: Context, api: Api, id: string, known: boolean): Promise<void> {
  const ended = await followShown(context, api, id, known);
  context.print(runView(ended), () => showRun(context, ended));
  requireSuccess(ended);
}

/** With its progress on standard error. The run as it ended. */
export async function followShown(context: Context, api: Api, id: string, known: boolean): Promise<Run> {
  const { terminal } = context;
  const view = createProgress(terminal);
  try {
    return await followRun(api, id, known, view, terminal);
  } finally {
    view.close();
    if (terminal.signal.aborted) {
      say(terminal, `The run ${id} goes on. Follow it: holdfast run watch ${id}. Stop it: holdfast run stop ${id}.`);
    }
  }
}

export function showRun(context: Context, run: Run): void {
  const { terminal } = context;
  const now = terminal.clock.now();
  printFields(terminal, [
    ['run', run.id],
    ['kind', runKind(run)],
    ['task', run.task],
    ['state', runStateOf(run)],
    ['asked for', `${time(run.createdMs)} (${runTrigger(run)})`],
    ['started', time(run.startedMs)],
    ['took', runSeconds(run, now)],
    ['set', setOf(run)],
    [isSkipped(run) ? 'reason' : 'fault', run.fault?.message ?? ''],
    ['next', run.fault?.hint ?? ''],
  ]);
  if (run.sources.length === 0) return;
  terminal.out.write('\n');
  printTable(
    terminal,
    ['source', 'node', 'state', 'took', 'content', 'stored', 'file or fault'],
    run.sources.map((source) => [
      source.source,
      source.node === '' ? '-' : source.node,
      runState(source.state),
      runSeconds(source, now),
      source.file === undefined ? '-' : size(source.file.contentBytes),
      source.file?.archive === undefined ? '-' : size(source.file.archive.sizeBytes),
      source.fault?.message ?? source.file?.archive?.key ?? describeProgress(source.progress, now),
    ]),
  );
}

function row(run: Run, now: number): string[] {
  return [
    run.id,
    runKind(run),
    run.task,
    runStateOf(run),
    runTrigger(run),
    time(run.startedMs === 0n ? run.createdMs : run.startedMs),
    runSeconds(run, now),
    setOf(run) === '' ? '-' : setOf(run),
    runReason(run),
  ];
}
