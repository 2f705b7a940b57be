import { describe, expect, test } from 'vitest';
import type { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { clusterOfEach } from './cluster-of-each.ts';
import { LDAP, runTask, startCluster, until, untilEnded } from './cluster.ts';
import { failure, fileOf, success, vaultFacts } from './fake-agent.ts';

const { cluster, vault, node, task, backUp, alarms } = clusterOfEach();

describe('alarms', () => {
  test('12034 goes with its task', async () => {
    await vault('mn1');
    await node({ onAssign: () => failure('disk is gone') });
    await task('hourly', { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } });
    cluster().clock.advance(3_600_500);
    await until(async () => expect((await alarms()).map(({ id }) => id)).toContain(12034));
    await cluster().admin().deleteTask({ requestId: '', name: 'hourly' });
    expect((await alarms()).map(({ id }) => id)).not.toContain(12034);
  });

  test('12034 is not raised by a run that was asked for by hand, nor by one that was stopped', async () => {
    await vault('mn1');
    await node({ onAssign: () => failure('disk is gone') });
    await task('hourly', { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 3600n } } });
    await backUp('hourly');
    expect((await alarms()).map(({ id }) => id)).not.toContain(12034);
  });

  test('12057 is up as long as nothing goes to a third place', async () => {
    await until(async () => expect((await alarms()).map(({ id, severity }) => [id, severity])).toContainEqual([12057, 'major']));
  });

  test('12058 tells of a file of default above its specification, which is kept, until one is below', async () => {
    await using own = await startCluster({ defaultTask: { enabled: true, sources: ['OMS'] } });
    let size = 10_000_001n;
    await own.agent('mn1', { vault: vaultFacts('mn1') });
    await own.agent('mn2', { vault: vaultFacts('mn2') });
    const onAssign = (assign: Assign): Finished['outcome'] => {
      if (assign.work?.$case !== 'backup') return success(assign);
      const file = fileOf(assign.work.value);
      const archive = file.archive && { ...file.archive, sizeBytes: size };
      const vaults = assign.work.value.vaults.map((each) => ({ node: each.node, failed: undefined }));
      return { $case: 'backup', value: { file: { ...file, archive }, vaults } };
    };
    await own.agent('dn1', { sources: ['OMS'], onAssign });
    const up = async () => (await own.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' })).alarms;
    await untilEnded(own.admin(), await runTask(own.admin(), 'default'));
    expect(await up()).toContainEqual(expect.objectContaining({ id: 12058, subject: 'OMS', severity: 'minor' }));
    expect((await own.admin().listSets({ task: '', pageSize: 0, pageToken: '' })).sets).toHaveLength(1);
    size = 10_000_000n;
    await untilEnded(own.admin(), await runTask(own.admin(), 'default'));
    expect((await up()).map(({ id }) => id)).not.toContain(12058);
  });

  test('12035 is not cleared by a restore into another place', async () => {
    await vault('mn1');
    await vault('mn2');
    const fault = { code: 'UNKNOWN_STATE', message: 'and then roll back', hint: 'look' };
    let fails = true;
    const onAssign = (assign: Assign): Finished['outcome'] =>
      assign.work?.$case === 'restore' && fails ? { $case: 'unknownState', value: fault } : success(assign);
    await node({ onAssign });
    await task('nightly', { sources: [LDAP] });
    const { setId } = await backUp('nightly');
    const restore = async (name: string, directory: string) => {
      const options = { renameDatabases: [], directory, otherVersion: false, otherTopology: false };
      await cluster().admin().createRestore({ requestId: '', name, setId, sources: [], options });
      const { run } = await cluster().admin().startRestore({ requestId: '', name });
      await untilEnded(cluster().admin(), run?.id ?? '');
      return (await alarms()).map(({ id }) => id);
    };
    expect(await restore('worst', '')).toContain(12035);
    fails = false;
    expect(await restore('elsewhere', '/tmp/look')).toContain(12035);
    expect(await restore('in_place', '')).not.toContain(12035);
  });
});
