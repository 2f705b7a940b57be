/** What reads sets: verifications, which go on beside the next actions, and restores. */
import { expectCode, nth } from './asking.ts';
import { isOpen } from './catalogue.ts';
import { codeOf, isRefusal } from './controller-node.ts';
import type { World } from './world.ts';

export async function verify(world: World, which: number): Promise<void> {
  const set = nth([...world.model.catalogue().sets.values()], which);
  if (set === undefined) return;
  const requestId = world.next('q');
  const count = (by: number) => world.reading.set(set.id, (world.reading.get(set.id) ?? 0) + by);
  world.meanwhile(async () => {
    count(1);
    const answer = await world.controller.call((api) => api.verifySet({ requestId, id: set.id }));
    // The hold ends a moment before the answer is here, and what retention saw of it may be older still.
    count(-1);
    if (!isRefusal(answer) && answer.faults.length > 0)
      world.model.broken.push(`${set.id} was found damaged: ${answer.faults.join('; ')}`);
  });
}

export async function restore(world: World, which: number, all: boolean): Promise<void> {
  const set = nth(
    [...world.model.catalogue().sets.values()].filter(({ deleting }) => !deleting),
    which,
  );
  if (set === undefined) return;
  const name = world.next('back');
  const requestId = world.next('q');
  const sources = all ? [] : [set.files[0]!.file.source];
  const options = { renameDatabases: [], directory: '', otherVersion: false, otherTopology: true };
  const answer = await world.controller.call((api) => api.createRestore({ requestId, name, setId: set.id, sources, options }));
  // The set may go meanwhile.
  const code = codeOf(answer);
  if (code === 'NOT_FOUND' || code === 'FAILED_PRECONDITION') return;
  if (code !== 'OK') return void world.model.broken.push(`restore ${name} was answered ${code}`);
  world.restores.push(name);
  await startRestore(world, name);
}

export async function startRestore(world: World, name: string): Promise<void> {
  const before = world.model.catalogue();
  const runs = [...before.runs.values()].filter(({ kind, task }) => kind === 'restore' && task === name);
  const done = runs.some(({ sources }) => sources.length > 0 && sources.every(({ state }) => state === 'successful'));
  const set = before.sets.get(before.restores.get(name)?.setId ?? '');
  const gone = set === undefined || set.deleting !== undefined;
  const may =
    done || gone || runs.some(isOpen) ? ['FAILED_PRECONDITION', 'NOT_FOUND'] : ['OK', 'NOT_FOUND', 'FAILED_PRECONDITION'];
  await expectCode(world, `start ${name}`, runs.some(isOpen) && !done ? [...may, 'OK'] : may, (api, requestId) =>
    api.startRestore({ requestId, name }),
  );
}
