/**
 * The kill matrix of backups and deletions: every durable step × SIGKILL of the process that takes it, before and after the step. After
 * its start everything is in order, what could be restored before can be restored, and the next run succeeds.
 *
 * Broken on purpose: mutate.ts without its look at the answer given before: the request that is asked again fails;
 * storage.ts without removeEmptyBelow: "holds what is listed, and nothing else".
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { taskSpec, untilEnded } from '../controller/cluster.ts';
import { AS_BACKED_UP, requireState, writeOther } from './data.ts';
import { withDeath } from './death.ts';
import { requireOrder } from './invariants.ts';
import { DAEMONS, answered, startProcessCluster } from './process-cluster.ts';
import type { ProcessCluster } from './process-cluster.ts';
import { killsOf, named, stepsFile, takenSteps } from './steps.ts';
import type { Kill } from './steps.ts';

const TASK = 'oms_only';
const page = { pageSize: 1000, pageToken: '', task: '' };
let cluster: ProcessCluster;
/** Runs asked for so far, which is also how many there must be. */
let asked = 0;
/** The run whose set must be there, and no other: one copy is kept. */
let good = '';

beforeAll(async () => {
  cluster = await startProcessCluster();
  for (const daemon of DAEMONS) await cluster.start(daemon);
  await answered(() => cluster.admin().createTask({ requestId: 'create', spec: taskSpec(TASK, { copies: 1 }) }));
  await requireOrder(cluster, 0);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Asked for until it is answered, under one request id: so it is one run, whoever dies meanwhile. */
async function backUp(): Promise<Run> {
  const requestId = `backup ${++asked}`;
  const { run } = await answered(() => cluster.admin().runTask({ requestId, name: TASK }));
  const ended = await untilEnded(cluster.admin(), run?.id ?? '');
  if (ended.state === RunState.RUN_STATE_SUCCESSFUL) good = ended.id;
  await requireSets();
  return ended;
}

async function requireSets(): Promise<void> {
  const { sets } = await requireOrder(cluster, asked);
  expect(
    sets.map(({ runId }) => runId),
    'the last good set is there, and nothing but it',
  ).toEqual(good === '' ? [] : [good]);
}

async function requireSuccess(): Promise<void> {
  const { state, fault } = await backUp();
  expect(fault).toBeUndefined();
  expect(state).toBe(RunState.RUN_STATE_SUCCESSFUL);
}

/** Removed as an administrator does it, whoever dies meanwhile. */
async function deleteSet(): Promise<void> {
  const { sets } = await cluster.admin().listSets(page);
  const id = sets[0]?.id ?? '';
  good = '';
  await answered(() => cluster.admin().deleteSet({ requestId: `delete ${id}`, id }));
  await requireSets();
}

/** Of the last matrix, whose sets have been through all of this. */
async function restoreLast(): Promise<Run> {
  const { sets } = await requireOrder(cluster, asked++);
  const setId = sets[0]?.id ?? '';
  await cluster.admin().createRestore({ requestId: '', name: 'last', setId, sources: [], options: undefined });
  const { run } = await cluster.admin().startRestore({ requestId: '', name: 'last' });
  return untilEnded(cluster.admin(), run?.id ?? '');
}

const after = (daemon: Kill['daemon'], step: string): Kill => ({ daemon, moment: 'after', count: 1, step });
const ARCHIVE = 'rename LocalBackup/oms_only_TIME/OMS_TIME/0.1.0_OMS_TIME.tar.zst';

interface Scenario {
  readonly scenario: string;
  readonly act: () => Promise<unknown>;
  readonly besides: readonly string[];
  readonly again?: RegExp;
  readonly first?: Kill;
  readonly more?: readonly Kill[];
}

/** The commits of a deletion have one name: of each of the two vaults the manifests are gone, then the bytes. */
const LATER_PHASES = [2, 3, 4].flatMap((count) =>
  (['before', 'after'] as const).map((moment): Kill => ({ daemon: 'controller', step: 'commit sets', moment, count })),
);

describe.each<Scenario>([
  { scenario: 'backup', besides: [], act: backUp },
  { scenario: 'deletion', besides: ['backup'], act: deleteSet, more: LATER_PHASES },
  // The active's vault dies with the archive in it: the run fails, and what is incomplete is cleared.
  { scenario: 'clearing', besides: ['backup', 'deletion'], act: backUp, first: after('mn1', ARCHIVE) },
  // The standby's does: the run succeeds, and the set is copied to it. The same steps as of a backup, taken from the other vault.
  {
    scenario: 'mirror',
    besides: ['backup', 'deletion', 'clearing'],
    again: /^mn2: rename LocalBackup/,
    act: backUp,
    first: after('mn2', ARCHIVE),
  },
])('the $scenario', ({ scenario, besides, again, act, first, more = [] }) => {
  test('takes these durable steps and no others', async () => {
    if (good === '') await requireSuccess();
    await requireSets();
    await cluster.forgetSteps();
    await (first === undefined ? act() : withDeath(cluster, first, act));
    await expect(await takenSteps(cluster)).toMatchFileSnapshot(stepsFile(scenario));
  });

  test.each(named([...killsOf(scenario, besides, again), ...more]))('survives that %s', async (_name, kill) => {
    if (good === '') await requireSuccess();
    await withDeath(cluster, kill, act, first);
    await requireSuccess();
  });
});

test('the set that is left at last can be restored', async () => {
  await writeOther(cluster, 'another');
  expect((await restoreLast()).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  await requireOrder(cluster, asked);
  await requireState(cluster, AS_BACKED_UP);
});
