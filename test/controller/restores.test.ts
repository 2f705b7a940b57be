import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import type { Assign } from '#common/gen/holdfast/v1/agent.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { LDAP, OMS, refusalOf, runTask, startCluster, taskSpec, until, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { failure, sourceOf, success, vaultFacts } from './fake-agent.ts';
import type { FakeAgent } from './fake-agent.ts';

let cluster: Cluster;
let dn1: FakeAgent;
let setId: string;
/** What the agent says to the restore of a source. */
let restoring: (assign: Assign) => ReturnType<typeof success>;

beforeEach(async () => {
  cluster = await startCluster();
  restoring = success;
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  const onAssign = (assign: Assign) => (assign.work?.$case === 'restore' ? restoring(assign) : success(assign));
  dn1 = await cluster.agent('dn1', { sources: ['OMS', 'LdapServer'], onAssign });
  const spec = taskSpec('nightly', { sources: [LDAP, OMS] });
  await cluster.admin().createTask({ requestId: '', spec });
  setId = (await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'nightly'))).setId;
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

const create = (name: string, sources: string[] = [], of = setId) =>
  cluster.admin().createRestore({ requestId: '', name, setId: of, sources, options: undefined });
const start = async (name: string) => (await cluster.admin().startRestore({ requestId: '', name })).run?.id ?? '';
const restored = () => dn1.assigns.filter(({ work }) => work?.$case === 'restore').map(sourceOf);
const openAlarms = async () => (await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' })).alarms;

describe('a plan', () => {
  test('is put together from the agents of the sources, in the order of the restore, and changes nothing', async () => {
    const { plan } = await cluster.admin().planRestore({ setId, sources: [], options: undefined });
    expect(plan?.sources.map(({ source, node, steps }) => [source, node, steps])).toEqual([
      ['OMS', 'dn1', ['switch OMS']],
      ['LdapServer', 'dn1', ['switch LdapServer']],
    ]);
    expect([plan?.refusals, plan?.warnings]).toEqual([[], []]);
    expect(restored()).toEqual([]);
  });

  test('warns when OMS goes back without LdapServer, and refuses another topology unless told otherwise', async () => {
    await cluster.agent('dn2', { sources: ['NameNode'] });
    const ask = (otherTopology: boolean) => {
      const options = { renameDatabases: [], directory: '', otherVersion: false, otherTopology };
      return cluster.admin().planRestore({ setId, sources: ['OMS'], options });
    };
    const { plan } = await ask(false);
    expect(plan?.refusals).toEqual(['the topology differs: now there is "dn2: NameNode"']);
    expect(plan?.warnings).toEqual([expect.stringMatching(/belong together/)]);
    expect((await ask(true)).plan?.refusals).toEqual([]);
    expect((await refusalOf(create('from_elsewhere', ['OMS']))).code).toBe(status.FAILED_PRECONDITION);
  });

  test('of a source whose agent is away refuses that source, saying so', async () => {
    dn1.leave();
    await until(async () => {
      const { plan } = await cluster.admin().planRestore({
        setId,
        sources: ['LdapServer'],
        options: undefined,
      });
      expect(plan?.sources[0]?.refusals).toEqual(['no connected agent offers LdapServer']);
    });
  });
});

describe('a restore', () => {
  test('takes its sources one after another, OMS first, and is not executed twice', async () => {
    let holdOms: Assign | undefined;
    restoring = (assign) => {
      if (sourceOf(assign) !== 'OMS') return success(assign);
      holdOms = assign;
      return undefined;
    };
    await create('all_of_it');
    const id = await start('all_of_it');
    await until(() => expect(restored()).toEqual(['OMS']));
    const { run } = await cluster.admin().getRun({ id });
    expect(run?.sources.map(({ state }) => state)).toEqual([RunState.RUN_STATE_RUNNING, RunState.RUN_STATE_WAITING]);
    dn1.finish(holdOms as Assign, success(holdOms as Assign));
    const end = await untilEnded(cluster.admin(), id);
    expect(end.state, JSON.stringify(end.fault)).toBe(RunState.RUN_STATE_SUCCESSFUL);
    expect(restored()).toEqual(['OMS', 'LdapServer']);
    const again = await refusalOf(start('all_of_it'));
    expect([again.code, again.details]).toEqual([status.FAILED_PRECONDITION, expect.stringContaining('all_of_it')]);
    expect(restored()).toEqual(['OMS', 'LdapServer']);
  });

  test('reads with grants that cannot write, the active vault first', async () => {
    await create('only_ldap', ['LdapServer']);
    await untilEnded(cluster.admin(), await start('only_ldap'));
    const work = dn1.assigns.at(-1)?.work;
    const vaults = work?.$case === 'restore' ? (work.value.sourceFile?.vaults ?? []) : [];
    expect(vaults.map(({ node }) => node)).toEqual(['mn1', 'mn2']);
    for (const { grant } of vaults) {
      const { verbs } = JSON.parse(Buffer.from(grant.split('.')[0] ?? '', 'base64url').toString()) as { verbs: string[] };
      expect(verbs.toSorted()).toEqual(['get', 'list']);
    }
  });

  test('of which one source fails goes on with the others, is failed, says which, and may be tried again', async () => {
    restoring = (assign) => (sourceOf(assign) === 'OMS' ? failure('no room; it was rolled back') : success(assign));
    await create('again');
    const end = await untilEnded(cluster.admin(), await start('again'));
    expect(end).toMatchObject({ state: RunState.RUN_STATE_FAILED, fault: { message: 'OMS: no room; it was rolled back' } });
    expect(end.sources.map(({ state }) => state)).toEqual([RunState.RUN_STATE_FAILED, RunState.RUN_STATE_SUCCESSFUL]);
    expect(await openAlarms()).not.toContainEqual(expect.objectContaining({ id: 12035 }));
    restoring = success;
    expect((await untilEnded(cluster.admin(), await start('again'))).state).toBe(RunState.RUN_STATE_SUCCESSFUL);
  });

  test('whose roll back fails too raises alarm 12035, which a later good one clears', async () => {
    const fault = { code: 'UNKNOWN_STATE', message: 'restore OMS: and then roll back', hint: 'look' };
    restoring = (assign) => (sourceOf(assign) === 'OMS' ? { $case: 'unknownState', value: fault } : success(assign));
    await create('worst');
    await untilEnded(cluster.admin(), await start('worst'));
    expect(await openAlarms()).toContainEqual(expect.objectContaining({ id: 12035, subject: 'OMS', severity: 'critical' }));
    restoring = success;
    await untilEnded(cluster.admin(), await start('worst'));
    expect(await openAlarms()).not.toContainEqual(expect.objectContaining({ id: 12035 }));
  });

  test('that was given up and went through all the same stays failed, says so, and is not executed again', async () => {
    restoring = () => undefined;
    await create('late', ['LdapServer']);
    const id = await start('late');
    await until(() => expect(restored()).toEqual(['LdapServer']));
    dn1.leave();
    expect((await untilEnded(cluster.admin(), id)).state).toBe(RunState.RUN_STATE_FAILED);
    const assign = dn1.assigns.at(-1) as Assign;
    const finished = { ...assign, endedMs: 1n, outcome: success(assign) };
    const back = await cluster.agent('dn1', { sources: ['OMS', 'LdapServer'], finished: [finished] });
    expect(back.welcome.acknowledged).toEqual([assign.assignmentId]);
    const { run } = await cluster.admin().getRun({ id });
    expect([run?.state, run?.sources[0]?.state]).toEqual([RunState.RUN_STATE_FAILED, RunState.RUN_STATE_SUCCESSFUL]);
    const { lines } = await cluster.admin().listRunLog({ id, pageSize: 0, pageToken: '' });
    expect(lines.at(-1)?.message).toBe('after it was given up, the agent of dn1 said: successful');
    expect((await refusalOf(start('late'))).code).toBe(status.FAILED_PRECONDITION);
    expect(back.assigns).toEqual([]);
  });

  test('holds its set: that is not deleted while it is read', async () => {
    restoring = () => undefined;
    await create('reader');
    const id = await start('reader');
    await until(() => expect(restored()).toEqual(['OMS']));
    const error = await refusalOf(cluster.admin().deleteSet({ requestId: '', id: setId }));
    expect([error.code, error.details]).toEqual([status.FAILED_PRECONDITION, expect.stringContaining('reader')]);
    await cluster.admin().stopRun({ requestId: '', id });
  });

  test('of no known set, source or name is refused', async () => {
    expect((await refusalOf(create('no_set', [], 'nowhere'))).code).toBe(status.NOT_FOUND);
    expect((await refusalOf(create('no_source', ['HBase']))).code).toBe(status.INVALID_ARGUMENT);
    expect((await refusalOf(create('not_in_it', ['NameNode']))).code).toBe(status.FAILED_PRECONDITION);
    expect((await refusalOf(create('../x'))).code).toBe(status.INVALID_ARGUMENT);
    expect((await refusalOf(start('never_made'))).code).toBe(status.NOT_FOUND);
  });
});

describe('the options of a restore', () => {
  test.each([
    ['a relative directory', { directory: 'srv/x' }],
    ['a directory that leads up', { directory: '/srv/../etc' }],
    ['a directory with NUL', { directory: '/srv/\0x' }],
    ['a database without another name', { renameDatabases: ['oms'] }],
    ['a database of two other names', { renameDatabases: ['oms=a=b'] }],
    ['a database named by a path', { renameDatabases: ['oms=../x'] }],
    ['a name with NUL', { renameDatabases: ['oms=a\0b'] }],
    ['101 databases under other names', { renameDatabases: Array.from({ length: 101 }, (_, n) => `a${n}=b${n}`) }],
    ['a directory that no file system takes', { directory: `/${'a'.repeat(4095)}` }],
  ])('with %s are refused by plan and restore: nothing is made, no agent is asked', async (_what, changes) => {
    const options = { renameDatabases: [], directory: '', otherVersion: false, otherTopology: false, ...changes };
    const asked = dn1.assigns.length;
    const request = { requestId: '', name: 'elsewhere', setId, sources: [], options };
    for (const doing of [cluster.admin().planRestore(request), cluster.admin().createRestore(request)]) {
      const error = await refusalOf(doing);
      expect([error.code, error.details]).toEqual([
        status.INVALID_ARGUMENT,
        expect.stringMatching(/^the options of the restore/),
      ]);
    }
    expect((await cluster.admin().listRestores({ pageSize: 0, pageToken: '' })).restores).toEqual([]);
    expect(dn1.assigns).toHaveLength(asked);
  });
});

test('a set is deleted from each vault, manifests named, and then gone', async () => {
  await cluster.admin().deleteSet({ requestId: '', id: setId });
  await until(async () => {
    expect((await refusalOf(cluster.admin().getSet({ id: setId }))).code).toBe(status.NOT_FOUND);
  });
});
