import { AppError } from '#common/errors.ts';
import * as api from '#common/gen/holdfast/v1/admin.ts';
import { ALARMS } from '#rules/alarms.ts';
import { nextStart } from '#rules/schedule.ts';
import type { Schedule } from '#rules/schedule.ts';
import { clear } from '../alarms/alarms.ts';
import { calendar } from '../engine/calendar.ts';
import type { Task } from '../model.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import { requestBackup } from '../engine/request-run.ts';
import { stopRun } from '../engine/stop-run.ts';
import type { Queries } from '../store/store.ts';
import { adminCall } from './answer.ts';
import { pageByName, pageRequest, taskDefinition } from './from-proto.ts';
import { mutate } from './mutate.ts';
import { notFound } from './not-found.ts';
import { presentRun } from './present-run.ts';
import { taskMessage } from './to-proto.ts';

type Names =
  | 'createTask'
  | 'getTask'
  | 'listTasks'
  | 'modifyTask'
  | 'deleteTask'
  | 'lockTask'
  | 'unlockTask'
  | 'runTask'
  | 'runTasks';

export function taskCalls(io: EngineIo): Pick<api.AdminServiceServer, Names> {
  const { log, store, clock } = io;
  return {
    createTask: adminCall(log, async (request: api.CreateTaskRequest, peer) => {
      const now = clock.now();
      const definition = taskDefinition(request.spec, now, io.limits);
      const codecs = { requestCodec: api.CreateTaskRequest, responseCodec: api.CreateTaskResponse };
      return mutate(io, peer, { method: 'CreateTask', request, subject: definition.name, ...codecs }, async (change) => {
        const tasks = await change.tasks();
        if (tasks.some(({ name }) => name === definition.name)) {
          throw new AppError('ALREADY_EXISTS', `a task named ${definition.name} exists already`);
        }
        const { tasksOfEachKind } = io.limits;
        if (tasks.length >= tasksOfEachKind)
          throw new AppError('LIMIT', `${tasksOfEachKind} tasks exist already, and no more may`);
        const task: Task = {
          ...definition,
          createdMs: now,
          system: false,
          locked: false,
          lockedMs: undefined,
          nextStartMs: nextStart({ ...definition, locked: false }, now, calendar),
          lastRunId: undefined,
          lastStartedMs: undefined,
        };
        await change.putTask(task);
        return { task: taskMessage(task, undefined) };
      });
    }),

    getTask: adminCall(log, async ({ name }: api.GetTaskRequest) => ({
      task: await present(store, await requireTask(store, name)),
    })),

    listTasks: adminCall(log, async (request: api.ListTasksRequest) => {
      const { items, next } = pageByName(await store.tasks(), ({ name }) => name, pageRequest(request));
      return { tasks: await Promise.all(items.map((task) => present(store, task))), nextPageToken: next };
    }),

    modifyTask: adminCall(log, async (request: api.ModifyTaskRequest, peer) => {
      const now = clock.now();
      const definition = taskDefinition(request.spec, now, io.limits);
      const codecs = { requestCodec: api.ModifyTaskRequest, responseCodec: api.ModifyTaskResponse };
      return mutate(io, peer, { method: 'ModifyTask', request, subject: definition.name, ...codecs }, async (change) => {
        const before = await requireTask(change, definition.name);
        const schedule = anchoredAs(before.schedule, definition.schedule);
        const task: Task = {
          ...before,
          ...definition,
          schedule,
          nextStartMs: nextStart({ schedule, locked: before.locked }, now, calendar),
        };
        await change.putTask(task);
        return { task: await present(change, task) };
      });
    }),

    deleteTask: adminCall(log, async (request: api.DeleteTaskRequest, peer) => {
      const codecs = { requestCodec: api.DeleteTaskRequest, responseCodec: api.DeleteTaskResponse };
      return mutate(io, peer, { method: 'DeleteTask', request, subject: request.name, ...codecs }, async (change) => {
        const task = await requireTask(change, request.name);
        if (task.system) {
          throw new AppError('REFUSED', `${task.name} is the system task, and is never deleted`, {
            hint: 'Lock it if it is not to run by itself.',
          });
        }
        const open = (await change.openRuns()).find(({ kind, task: name }) => kind === 'backup' && name === task.name);
        if (open !== undefined) {
          throw new AppError('REFUSED', `the task ${task.name} is ${open.state} (${open.id})`, { hint: 'Stop that run first.' });
        }
        await change.deleteTask(task.name);
        await clear(change, io, ALARMS.periodicFailure.id, task.name);
        return {};
      });
    }),

    lockTask: adminCall(log, async (request: api.LockTaskRequest, peer) => {
      const codecs = { requestCodec: api.LockTaskRequest, responseCodec: api.LockTaskResponse };
      return mutate(io, peer, { method: 'LockTask', request, subject: request.name, ...codecs }, async (change) => {
        const before = await requireTask(change, request.name);
        const task = { ...before, locked: true, lockedMs: before.lockedMs ?? clock.now(), nextStartMs: undefined };
        await change.putTask(task);
        const open = (await change.openRuns()).find(({ kind, task: name }) => kind === 'backup' && name === task.name);
        if (open !== undefined) await stopRun(change, io, open, `the task ${task.name} was locked by ${peer.name}`);
        return { task: await present(change, task) };
      });
    }),

    unlockTask: adminCall(log, async (request: api.UnlockTaskRequest, peer) => {
      const codecs = { requestCodec: api.UnlockTaskRequest, responseCodec: api.UnlockTaskResponse };
      return mutate(io, peer, { method: 'UnlockTask', request, subject: request.name, ...codecs }, async (change) => {
        const before = await requireTask(change, request.name);
        const unlocked = { ...before, locked: false, lockedMs: undefined };
        const task = { ...unlocked, nextStartMs: nextStart(unlocked, clock.now(), calendar) };
        await change.putTask(task);
        return { task: await present(change, task) };
      });
    }),

    runTask: adminCall(log, async (request: api.RunTaskRequest, peer) => {
      const codecs = { requestCodec: api.RunTaskRequest, responseCodec: api.RunTaskResponse };
      return mutate(io, peer, { method: 'RunTask', request, subject: request.name, ...codecs }, async (change) => {
        const task = await requireTask(change, request.name);
        const run = await requestBackup(change, io, task, 'manual');
        return { run: await presentRun(change, io, run) };
      });
    }),

    runTasks: adminCall(log, async (request: api.RunTasksRequest, peer) => {
      if (request.names.length === 0) throw new AppError('INVALID', 'no task was named');
      const codecs = { requestCodec: api.RunTasksRequest, responseCodec: api.RunTasksResponse };
      const subject = request.names.join(', ');
      return mutate(io, peer, { method: 'RunTasks', request, subject, ...codecs }, async (change) => {
        const runs: api.Run[] = [];
        for (const name of request.names) {
          const run = await requestBackup(change, io, await requireTask(change, name), 'manual');
          runs.push(await presentRun(change, io, run));
        }
        return { runs };
      });
    }),
  };
}

/** Of a period that stays, and has no first start of its own, the starts stay too: to change the copies puts off no backup. */
function anchoredAs(before: Schedule, after: Schedule): Schedule {
  const same = before.kind === 'periodic' && after.kind === 'periodic' && before.periodMs === after.periodMs;
  return same && before.startMs < before.periodMs && after.startMs < after.periodMs ? before : after;
}

async function requireTask(from: Queries, name: string): Promise<Task> {
  const task = await from.task(name);
  if (task === undefined) throw notFound('task', `there is no task named ${JSON.stringify(name)}`);
  return task;
}

async function present(from: Queries, task: Task): Promise<api.Task> {
  return taskMessage(task, task.lastRunId === undefined ? undefined : await from.run(task.lastRunId));
}
