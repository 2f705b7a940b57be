/**
 * The kill matrix of restores: every durable step × SIGKILL of the process that takes it, before and after the step. After its start the
 * database and the configuration are both the old or both the new, as the run says, nothing lies beside them, and a retry succeeds.
 *
 * Broken on purpose: recover.ts without undoRestore: "the data are all old or all new" fails; without removeStaged: "no database lies
 * beside"; tool.ts without --pdeathsig: "no tool outlives its agent".
 *
 * HOLDFAST_KILL_LONG=1 adds the deaths that only differ in what nobody sees, HOLDFAST_KILL_KEEP=1 keeps the logs of the daemons.
 */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { taskSpec, untilEnded } from '../controller/cluster.ts';
import { AS_BACKED_UP, requireState, writeOther } from './data.ts';
import { withDeath } from './death.ts';
import { requireOrder } from './invariants.ts';
import { DAEMONS, answered, startProcessCluster } from './process-cluster.ts';
import type { ProcessCluster } from './process-cluster.ts';
import { LONG, killsOf, named, stepsFile, takenSteps } from './steps.ts';
import type { Kill } from './steps.ts';

const TASK = 'oms_only';
let cluster: ProcessCluster;
let setId = '';
/** Runs asked for so far, which is also how many there must be. */
let asked = 0;
let restores = 0;

beforeAll(async () => {
  cluster = await startProcessCluster();
  for (const daemon of DAEMONS) await cluster.start(daemon);
  await answered(() => cluster.admin().createTask({ requestId: 'create', spec: taskSpec(TASK) }));
  await requireOrder(cluster, 0);
  const { run } = await cluster.admin().runTask({ requestId: '', name: TASK });
  await untilEnded(cluster.admin(), run?.id ?? '');
  const { sets } = await requireOrder(cluster, ++asked);
  setId = sets[0]?.id ?? '';
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** What a restore is to replace, made anew for each. */
async function becomeOld(): Promise<string> {
  const old = `before restore ${++restores}`;
  await writeOther(cluster, old);
  return old;
}

/** Asked for until it is answered, under one request id: so it is one run, whoever dies meanwhile. */
async function restore(): Promise<Run> {
  const name = `restore_${restores}`;
  const options = { requestId: `create ${name}`, name, setId, sources: [], options: undefined };
  await answered(() => cluster.admin().createRestore(options));
  return startRestore('first');
}

async function startRestore(time: string): Promise<Run> {
  const name = `restore_${restores}`;
  const requestId = `start ${name} ${time}`;
  asked += 1;
  const { run } = await answered(() => cluster.admin().startRestore({ requestId, name }));
  await untilEnded(cluster.admin(), run?.id ?? '');
  const { runs } = await requireOrder(cluster, asked);
  const ended = runs.find(({ id }) => id === run?.id);
  if (ended === undefined) throw new Error(`the run ${run?.id} is gone`);
  return ended;
}

async function requireWholeAndRetriable({ sources: [share] }: Run, old: string): Promise<void> {
  const name = `restore_${restores}`;
  // Of the share, not of the run: on a slow machine an agent may have been given up and have restored all the same.
  if (share?.state === RunState.RUN_STATE_SUCCESSFUL) {
    await requireState(cluster, AS_BACKED_UP);
    const again = cluster.admin().startRestore({ requestId: '', name });
    await expect(again, 'none that succeeded is done twice').rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    return;
  }
  await requireState(cluster, old);
  const retried = await startRestore('again');
  expect(retried.fault).toBeUndefined();
  expect(retried.state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  await requireState(cluster, AS_BACKED_UP);
}

const dn1 = (step: string, count = 1): Kill => ({ daemon: 'dn1', moment: 'after', count, step });

async function surviveDeath(kill: Kill, first?: Kill): Promise<void> {
  const old = await becomeOld();
  const run = await withDeath(cluster, kill, restore, first);
  await requireWholeAndRetriable(run, old);
}

interface Scenario {
  readonly scenario: string;
  readonly besides: readonly string[];
  readonly again?: RegExp;
  readonly first?: Kill;
}

describe.each<Scenario>([
  // Without what the verifications after it do, which are in the matrix of backups.
  { scenario: 'restore', besides: ['backup'], again: /^(dn1|controller): (?!commit audit sets)/ },
  // The agent dies when all is staged and nothing is switched: its next start removes what was staged, and dies in that.
  {
    scenario: 'unstaging',
    besides: ['backup', 'restore'],
    first: dn1('create state/journal/ID.undo.tmp'),
  },
  // The agent dies when all is switched and nothing is checked: its next start puts the old state back, and dies in that.
  {
    scenario: 'roll-back',
    besides: ['backup', 'restore', 'unstaging'],
    again: /^dn1: (rename conf$|psql ALTER DATABASE "oms" ALLOW_CONNECTIONS false|psql DROP)/,
    first: dn1('rename conf'),
  },
  // It dies when it is decided that the new state stays: its next start ends what is left, and dies in that.
  {
    scenario: 'commit',
    besides: ['backup', 'restore', 'unstaging', 'roll-back'],
    again: /^dn1: (psql DROP|rm conf)/,
    first: dn1('rename state/journal/ID.committed'),
  },
])('the $scenario', ({ scenario, besides, again, first }) => {
  test('takes these durable steps and no others', async () => {
    await requireOrder(cluster, asked);
    const old = await becomeOld();
    await cluster.forgetSteps();
    const run = await (first === undefined ? restore() : withDeath(cluster, first, restore));
    await expect(await takenSteps(cluster)).toMatchFileSnapshot(stepsFile(scenario));
    await requireWholeAndRetriable(run, old);
  });

  test.each(named(killsOf(scenario, besides, again)))('survives that %s', async (_name, kill) => {
    await surviveDeath(kill, first);
  });
});

/** Most of them only ask: the others have their place in the matrix by what they change. */
const EACH = { psql: LONG ? 1 : 4, pg_restore: 1 };

describe.each(Object.entries(EACH))('of the starts of %s', (tool, every) => {
  test(`a restore survives the death of its agent at each, or at one of ${every}`, { timeout: 300_000 }, async () => {
    await requireOrder(cluster, asked);
    const old = await becomeOld();
    await cluster.forgetSteps();
    await requireWholeAndRetriable(await restore(), old);
    const step = `spawn ${tool}`;
    const times = (await cluster.stepsOf('dn1')).filter((each) => each === step).length;
    for (let count = 1; count <= times; count += every) await surviveDeath(dn1(step, count));
  });
});
