/** A task in words and as JSON. */
import { TaskState } from '#common/gen/holdfast/v1/admin.ts';
import type { Task } from '#common/gen/holdfast/v1/admin.ts';
import type { Context } from './context.ts';
import { duration, printFields, time, word } from './output.ts';
import { describeKeeping, describeWantedAge, keepingView } from './task-keeping.ts';
import { describeMode, modeView, whenLateWord } from './task-mode.ts';
import { describeSource, sourceName, sourceView } from './task-spec.ts';

export const TASK_COLUMNS = ['task', 'state', 'mode', 'sources', 'keeps', 'wanted age', 'next start', 'last run'];

export function taskRow(task: Task): string[] {
  const { spec } = task;
  const late = spec !== undefined && whenLateWord(spec.whenLate) === 'run-once' ? ', late: run-once' : '';
  return [
    spec?.name ?? '',
    stateOf(task),
    `${describeMode(spec?.mode)}${late}`,
    spec?.sources.map(sourceName).join(', ') ?? '',
    spec === undefined ? '' : describeKeeping(spec),
    spec === undefined ? '' : describeWantedAge(spec),
    time(task.nextStartMs),
    task.lastRunId === '' ? '-' : task.lastRunId,
  ];
}

export function showTask(context: Context, task: Task): void {
  const { spec } = task;
  context.print(taskView(task), () => {
    printFields(context.terminal, [
      ['task', `${spec?.name ?? ''}${task.system ? ' (system task)' : ''}`],
      ['state', stateOf(task)],
      ['locked since', task.lockedSinceMs === 0n ? '' : time(task.lockedSinceMs)],
      ['mode', describeMode(spec?.mode)],
      ['when late', spec === undefined ? '' : whenLateWord(spec.whenLate)],
      ['sources', spec?.sources.map(describeSource).join(', ') ?? ''],
      ['target', targetOf(task)],
      ['keeps', spec === undefined ? '' : describeKeeping(spec)],
      ['wanted age', spec === undefined ? '' : describeWantedAge(spec)],
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

/** A locked task that runs by hand shows both. */
function stateOf(task: Task): string {
  const state = word(TaskState, task.state, 'TASK_STATE_');
  return task.locked && state !== 'locked' ? `${state}, locked` : state;
}

function targetOf(task: Task): string {
  return task.spec?.target?.pathType?.$case === 'localDir' ? 'LocalDir' : 'unknown';
}

export function taskView(task: Task) {
  const { spec } = task;
  return {
    name: spec?.name,
    state: word(TaskState, task.state, 'TASK_STATE_'),
    locked: task.locked,
    lockedSinceMs: task.lockedSinceMs,
    system: task.system,
    ...modeView(spec?.mode),
    whenLate: spec === undefined ? undefined : whenLateWord(spec.whenLate),
    sources: spec?.sources.map(sourceView),
    target: targetOf(task),
    ...(spec === undefined ? {} : keepingView(spec)),
    createdMs: task.createdMs,
    nextStartMs: task.nextStartMs,
    lastRunId: task.lastRunId,
  };
}
