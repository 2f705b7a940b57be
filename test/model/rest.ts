/** At rest: what was cut is whole again and time has passed. Then nothing may be open, left over or out of step, and every byte is compared. */
import type { World } from './world.ts';
import { contentOf, keysOn, unaccounted } from './artefacts.ts';
import { openRuns } from './catalogue.ts';

/** By the clock of the history. A chore that failed is tried again after as long as it has failed already. */
const LONGEST_MS = 20 * 60_000;

export async function rest(world: World): Promise<void> {
  const { clock, controller, model } = world;
  await world.calm();
  await controller.start();
  const until = clock.monotonic() + LONGEST_MS;
  let still = await unrest(world);
  while (still.length > 0 && clock.monotonic() < until && model.broken.length === 0) {
    await world.pass(500);
    // Killed at one of its writes meanwhile.
    await controller.start();
    still = await unrest(world);
  }
  model.broken.push(...still.map((what) => `after all this time ${what}`), ...(still.length > 0 ? await reasons(world) : []));
  if (model.broken.length === 0) model.broken.push(...exactness(world), ...(await apiFaults(world)));
}

async function unrest({ model, nodes }: World): Promise<string[]> {
  const { sets, leftovers, alarms } = model.catalogue();
  return [
    ...openRuns(model.catalogue()).map(({ id, state }) => `the run ${id} is ${state}`),
    ...[...leftovers.values()].map(({ prefix, nodes: of }) => `${prefix} is to be cleared on ${of.join()}`),
    ...[...sets.values()].filter(({ deleting }) => deleting !== undefined).map(({ id }) => `the set ${id} is going`),
    ...[...sets.values()]
      .filter((set) => set.deleting === undefined && lacking(set).length > 0)
      .map((set) => `the set ${set.id} is not on ${lacking(set).join()}`),
    ...[...alarms].filter((alarm) => alarm.startsWith('12011')).map((alarm) => `the alarm ${alarm} is up`),
    ...[...nodes.values()].flatMap((node) => node.untold().map((name) => `${name} is in the journal of ${node.node}`)),
  ];
}

/** What the product itself says of what goes on: where to begin to look. */
async function reasons({ controller, model }: World): Promise<string[]> {
  const said = await controller.call(async (api) => {
    const logs = await Promise.all(
      openRuns(model.catalogue()).map(async ({ id }) => {
        const { lines } = await api.listRunLog({ id, pageSize: 1000, pageToken: '' });
        return `${id}: ${lines.at(-1)?.message}`;
      }),
    );
    const { agents } = await api.listAgents({ pageSize: 0, pageToken: '' });
    return [...logs, ...agents.map(({ node, connected }) => `the agent of ${node} is ${connected ? '' : 'not '}connected`)];
  });
  return said instanceof Error ? [said.message] : said;
}

function lacking({ files }: { files: readonly { nodes: readonly string[] }[] }): string[] {
  return ['mn1', 'mn2'].filter((node) => files.some(({ nodes }) => !nodes.includes(node)));
}

/** The vaults hold the files of the listed sets and nothing else, and each archive holds what its service had. */
function exactness({ model, disks, services }: World): string[] {
  const { sets, runs } = model.catalogue();
  const faults = [...disks.values()].flatMap(({ node, files }) => {
    const listed = [...sets.values()].flatMap((set) => keysOn(set, node));
    const same = [...files.keys()].toSorted().join() === listed.toSorted().join();
    return same ? [] : [`the vault of ${node} does not hold what is listed`];
  });
  for (const set of sets.values()) {
    for (const { file, nodes } of set.files) {
      const share = runs.get(set.runId)?.sources.find(({ source }) => source === file.source);
      const expected = services.get(file.source)?.handed(share?.assignmentId ?? '');
      for (const node of nodes) {
        const archive = disks.get(node)?.files.get(file.archive.key);
        if (archive === undefined || contentOf(archive) !== expected)
          faults.push(`${file.archive.key} on ${node} is not what was backed up`);
      }
    }
  }
  return faults;
}

/** What callers are shown is what the catalogue holds. Alarms come and go between the two looks: only what differs each time is a fault. */
async function apiFaults(world: World): Promise<string[]> {
  let faults: string[] = [];
  for (let look = 0; look < 3; look++) {
    faults = await differences(world);
    if (faults.length === 0) break;
  }
  return faults;
}

async function differences({ controller, model }: World): Promise<string[]> {
  const page = { pageSize: 1000, pageToken: '' };
  const shown = await controller.call(async (api) => ({
    sets: (await api.listSets({ ...page, task: '' })).sets.map(({ id }) => id),
    alarms: (await api.listAlarms({ ...page, history: false })).alarms.map(({ id, subject }) => `${id} ${subject}`),
    tasks: (await api.listTasks(page)).tasks.map(({ spec }) => spec?.name ?? ''),
  }));
  if (shown instanceof Error) return [`the lists were refused: ${shown.message}`];
  const { sets, alarms, tasks } = model.catalogue();
  const same = (a: Iterable<string>, b: Iterable<string>) => [...a].toSorted().join() === [...b].toSorted().join();
  return [
    ...(same(shown.sets, sets.keys()) ? [] : ['the list of sets is not what is in the catalogue']),
    ...(same(shown.alarms, alarms) ? [] : [`the alarms shown are ${shown.alarms.join()}, and ${[...alarms].join()} are up`]),
    ...(same(shown.tasks, tasks.keys()) ? [] : ['the list of tasks is not what is in the catalogue']),
  ];
}

/** After each action, at rest or not. */
export function standing({ model, disks, services }: World): string[] {
  return [
    ...model.broken,
    ...unaccounted(model.catalogue(), disks),
    ...[...services.values()].flatMap(({ collisions }) => collisions),
  ];
}
