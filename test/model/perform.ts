/** Does what an action says, through the public API or from outside, and holds the answer against the model. */
import { assertNever } from '#common/assert-never.ts';
import type { Action } from './actions.ts';
import { expectCode, nth, specOf, wished } from './asking.ts';
import { openRuns } from './catalogue.ts';
import { codeOf } from './controller-node.ts';
import { disturb } from './disturb.ts';
import { rest } from './rest.ts';
import { SHORTEST_GAP_MS } from './start-rules.ts';
import { restore, startRestore, verify } from './read-sets.ts';
import type { Wish } from './transition.ts';
import type { World } from './world.ts';

const nameOf = (task: number) => `task${task}`;

export async function perform(action: Action, world: World): Promise<void> {
  const { model } = world;
  switch (action.kind) {
    case 'create':
      return mutateTask(world, 'CreateTask', nameOf(action.task), wished(action.shape, false), (name, known) =>
        expectCode(world, `create ${name}`, known ? ['ALREADY_EXISTS'] : ['OK'], (api, requestId) =>
          api.createTask({ requestId, spec: specOf(name, action.shape) }),
        ),
      );
    case 'modify':
      return mutateTask(
        world,
        'ModifyTask',
        nameOf(action.task),
        (wish) => wished(action.shape, wish?.locked ?? false)(),
        (name, known) =>
          expectCode(world, `modify ${name}`, known ? ['OK'] : ['NOT_FOUND'], (api, requestId) =>
            api.modifyTask({ requestId, spec: specOf(name, action.shape) }),
          ),
      );
    case 'lock':
    case 'unlock': {
      const locked = action.kind === 'lock';
      const change = (wish: Wish | undefined) => wish && { ...wish, locked };
      return mutateTask(world, locked ? 'LockTask' : 'UnlockTask', nameOf(action.task), change, (name, known) =>
        expectCode(world, `${action.kind} ${name}`, known ? ['OK'] : ['NOT_FOUND'], (api, requestId) =>
          locked ? api.lockTask({ requestId, name }) : api.unlockTask({ requestId, name }),
        ),
      );
    }
    case 'deleteTask':
      return mutateTask(
        world,
        'DeleteTask',
        nameOf(action.task),
        () => undefined,
        (name, known) => {
          const open = openRuns(model.catalogue()).some(({ kind, task }) => kind === 'backup' && task === name);
          const codes = known ? ['OK', ...(open ? ['FAILED_PRECONDITION'] : duesOf(world, name))] : ['NOT_FOUND'];
          return expectCode(world, `delete ${name}`, codes, (api, requestId) => api.deleteTask({ requestId, name }));
        },
      );
    case 'run':
      return runTask(world, nameOf(action.task));
    case 'runSeveral':
      return void (await Promise.all(action.tasks.map((task) => runTask(world, nameOf(task)))));
    case 'toDue':
      return toDue(world, nameOf(action.task), action.lateMs, action.patient);
    case 'stop': {
      const run = nth(openRuns(model.catalogue()), action.which);
      if (run === undefined) return;
      // It may end by itself meanwhile.
      return expectCode(world, `stop ${run.id}`, ['OK', 'FAILED_PRECONDITION'], (api, requestId) =>
        api.stopRun({ requestId, id: run.id }),
      );
    }
    case 'deleteSet': {
      const set = nth([...model.catalogue().sets.values()], action.which);
      if (set === undefined) return;
      // It may be read, or gone meanwhile.
      return expectCode(world, `delete ${set.id}`, ['OK', 'FAILED_PRECONDITION', 'NOT_FOUND'], (api, requestId) =>
        api.deleteSet({ requestId, id: set.id }),
      );
    }
    case 'verify':
      return verify(world, action.which);
    case 'restore':
      return restore(world, action.which, action.all);
    case 'restoreAgain': {
      const name = nth(world.restores, action.which);
      if (name === undefined) return;
      return startRestore(world, name);
    }
    case 'rest':
      return rest(world);
    case 'killController':
    case 'killControllerAt':
    case 'killAgent':
    case 'cable':
    case 'fill':
    case 'clock':
    case 'write':
    case 'fault':
    case 'pace':
      return disturb(action, world);
    default:
      return assertNever(action);
  }
}

/** What is wanted of a task changes with the very transaction that does it. */
async function mutateTask(
  world: World,
  method: string,
  name: string,
  change: (wish: Wish | undefined) => Wish | undefined,
  ask: (name: string, known: boolean) => Promise<void>,
): Promise<void> {
  world.model.ask(method, name, change);
  await ask(name, world.model.wishes().has(name));
}

async function runTask(world: World, name: string): Promise<void> {
  const known = world.model.wishes().has(name);
  const own = () => openRuns(world.model.catalogue()).some(({ kind, task }) => kind === 'backup' && task === name);
  const openBefore = own();
  const due = duesOf(world, name).length > 0;
  const requestId = world.next('q');
  const answer = await world.controller.call((api) => api.runTask({ requestId, name }));
  const code = codeOf(answer);
  // A run of it may end, or begin by its period or by the same action, just before this is heard.
  const refusable = openBefore || due || [...world.model.catalogue().runs.values()].at(-1)?.task === name || own();
  const expected = known ? ['OK', ...(refusable ? ['FAILED_PRECONDITION'] : [])] : ['NOT_FOUND'];
  if (!expected.includes(code)) world.model.broken.push(`run ${name} was answered ${code}`);
}

/** A run by period may come just now. */
function duesOf(world: World, name: string): string[] {
  const next = world.model.catalogue().tasks.get(name)?.nextStartMs;
  return next !== undefined && next <= world.clock.now() + 2000 ? ['FAILED_PRECONDITION'] : [];
}

/** What is due and may start, does; what may not is recorded: within a moment there is a run of it, or the record that there is none. */
async function toDue(world: World, name: string, lateMs: number, patient: boolean): Promise<void> {
  const { model, clock, controller } = world;
  if (patient) await outlastGap(world, name);
  const task = model.catalogue().tasks.get(name);
  if (task?.nextStartMs === undefined || !controller.alive()) return;
  const by = task.nextStartMs + lateMs - clock.now();
  const open = openRuns(model.catalogue()).some((run) => run.kind === 'backup' && run.task === name);
  const before = model.catalogue().runs.size;
  const life = model.life();
  if (by < 0) model.clockWasSetBack(clock.now() + by);
  const jump = Math.abs(by) > 3 * 3_600_000 ? world.troubles.begin(undefined, 'the clock was set') : undefined;
  clock.set(by);
  jump?.(500);
  if (lateMs < 0) return;
  const mayStart = lateMs <= 116_000 && !open && model.gaps(name).every((gap) => gap > SHORTEST_GAP_MS + 2000);
  await world.pass(2000);
  // Another controller may not have come to it yet.
  if (!controller.alive() || model.life() !== life) return;
  const came = [...model.catalogue().runs.values()].slice(before).filter((run) => run.task === name && run.trigger === 'period');
  if (came.length === 0 || (mayStart && came.some(({ state }) => state === 'skipped'))) {
    const said = JSON.stringify([model.catalogue().tasks.get(name), ...came]);
    model.broken.push(`${name} was due and ${mayStart ? 'did not start' : 'nothing came of it'}: ${said}`);
  }
}

async function outlastGap(world: World, name: string): Promise<void> {
  const [gap] = world.model.gaps(name);
  if (gap !== undefined && gap >= 0 && gap <= SHORTEST_GAP_MS) await world.pass(SHORTEST_GAP_MS + 2500 - gap);
}
