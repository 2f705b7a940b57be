/** A cluster of its own for each test of a file, and the words in which those tests speak of it. */
import { afterEach, beforeEach } from 'vitest';
import { runTask, startCluster, taskSpec, untilEnded } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';
import type { AgentOptions, FakeAgent } from './fake-agent.ts';

const ALL = { task: '', pageSize: 0, pageToken: '' };

export function clusterOfEach() {
  let current: Cluster;
  beforeEach(async () => {
    current = await startCluster();
  });
  afterEach(async () => {
    await current[Symbol.asyncDispose]();
  });
  const admin = () => current.admin();
  return {
    cluster: () => current,
    vault: (node: string, options: Partial<AgentOptions> = {}) => current.agent(node, { vault: vaultFacts(node), ...options }),
    node: (options: Partial<AgentOptions> = {}) => current.agent('dn1', { sources: ['OMS', 'LdapServer'], ...options }),
    task: (name: string, changes: Parameters<typeof taskSpec>[1] = {}) =>
      admin().createTask({ requestId: '', spec: taskSpec(name, changes) }),
    backUp: async (name: string) => untilEnded(admin(), await runTask(admin(), name)),
    sets: async () => (await admin().listSets(ALL)).sets,
    runs: async () => (await admin().listRuns(ALL)).runs,
    alarms: async (history = false) => (await admin().listAlarms({ history, pageSize: 0, pageToken: '' })).alarms,
    logOf: async (id: string) =>
      (await admin().listRunLog({ id, pageSize: 0, pageToken: '' })).lines.map(({ message }) => message),
  };
}

/** An agent that answers nothing to what it is told. */
export const waits = () => undefined;

export function told(agent: FakeAgent, kind: string) {
  return agent.assigns.filter(({ work }) => work?.$case === kind);
}

export function deletions(agent: FakeAgent) {
  return agent.assigns.flatMap(({ work }) => (work?.$case === 'delete' ? [work.value] : []));
}

export function cleared(agent: FakeAgent) {
  return deletions(agent).flatMap(({ incompletePrefixes }) => incompletePrefixes);
}
