/** How large a backup file of `default` may be is a setting. */
import { expect, test } from 'vitest';
import { runTask, startCluster, until, untilEnded } from './cluster.ts';
import { success, vaultFacts } from './fake-agent.ts';

test('12058 goes by the specifications of the configuration, which can be read back with their defaults', async () => {
  // Every file of the scripted agent has more than one byte.
  const defaultTask = { enabled: true, sources: ['OMS', 'LdapServer'], specifications: { OMS: '1 B' } };
  await using cluster = await startCluster({ defaultTask });
  await cluster.agent('mn1', { vault: vaultFacts('mn1') });
  await cluster.agent('mn2', { vault: vaultFacts('mn2') });
  await cluster.agent('dn1', { sources: ['OMS', 'LdapServer'], onAssign: success });
  await untilEnded(cluster.admin(), await runTask(cluster.admin(), 'default'));
  await until(async () => {
    const { alarms } = await cluster.admin().listAlarms({ history: false, pageSize: 0, pageToken: '' });
    expect(alarms.filter(({ id }) => id === 12058).map(({ subject }) => subject)).toEqual(['OMS']);
  });

  const { settings } = await cluster.admin().getConfig({});
  const shown = settings.filter(({ name }) => name.startsWith('defaultTask.specifications.'));
  expect(shown.map(({ name, value, defaultValue }) => [name.split('.').at(-1), value, defaultValue])).toEqual([
    ['OMS', '1 B', '10 MB'],
    ['LdapServer', '20 MB', '20 MB'],
    ['DBService', '100 MB', '100 MB'],
    ['NameNode', '1.5 GB', '1.5 GB'],
  ]);
  expect(shown.every(({ meaning }) => meaning.includes('Documented'))).toBe(true);
});
