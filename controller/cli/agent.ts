/** `holdfast agent list|show|forget`: the nodes. (`holdfast agent --config FILE` is the daemon.) */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Agent } from '#common/gen/holdfast/v1/admin.ts';
import { requireConsent } from './confirm.ts';
import { newRequestId } from './connect.ts';
import type { Context } from './context.ts';
import { present } from './options.ts';
import { duration, printFields, printTable, size, time } from './output.ts';
import { say } from './terminal.ts';

export function addAgent(program: Command, context: Context): void {
  const agent = program
    .command('agent')
    .summary('Agents: the nodes that hold vaults and sources.')
    .description(
      'Agents: the nodes that hold vaults and sources. `holdfast agent --config agent.yaml` starts the daemon of a node.',
    );

  agent
    .command('list')
    .description('List the agents that have ever connected, and those of both management nodes.')
    .action(async () => {
      const agents = await context.withApi((api) =>
        api.list(
          Admin.listAgents,
          (page) => page,
          (response) => response.agents,
        ),
      );
      context.print(agents, () => {
        printTable(context.terminal, ['node', 'connected', 'role', 'sources', 'version', 'last seen'], agents.map(row));
      });
    });

  agent
    .command('show <node>')
    .description('Show one agent and the facts of its node.')
    .action(async (node: string) => {
      await context.withApi(async (api) => {
        const one = present((await api.call(Admin.getAgent, { node })).agent, 'agent');
        context.print(one, () => show(context, one));
      });
    });

  agent
    .command('forget <node>')
    .description('Miss a node no more that is gone for good. Its backups stay.')
    .option('--yes', 'do not ask')
    .action(async (node: string, options: { yes?: boolean }) => {
      await requireConsent(context.terminal, `forget the agent of ${node}`, options.yes);
      await context.withApi((api) => api.call(Admin.forgetAgent, { requestId: newRequestId(), node }));
      context.print({ forgotten: node }, () => say(context.terminal, `forgot the agent of ${node}`));
    });
}

function row(agent: Agent): string[] {
  return [
    agent.node,
    agent.connected ? 'yes' : 'no',
    agent.managementRole === '' ? '-' : agent.managementRole,
    agent.sources.length === 0 ? '-' : agent.sources.join(', '),
    agent.version,
    time(agent.lastSeenMs),
  ];
}

function show(context: Context, agent: Agent): void {
  const { host, vault } = agent;
  printFields(context.terminal, [
    ['node', agent.node],
    ['connected', agent.connected ? 'yes' : 'no'],
    ['last seen', time(agent.lastSeenMs)],
    ['role', agent.managementRole],
    ['sources', agent.sources.join(', ')],
    ['version', agent.version],
    ['vault', vault?.url ?? ''],
    ['vault space', vault?.space === undefined ? '' : `${size(vault.space.freeBytes)} free of ${size(vault.space.totalBytes)}`],
    ['host', host === undefined ? '' : `${host.hostname}, ${host.os}, kernel ${host.kernel}`],
    ['cpus', host === undefined ? '' : `${host.cpus}, load ${Math.round(host.loadPercent)} %`],
    ['memory', host === undefined ? '' : `${size(host.freeMemoryBytes)} free of ${size(host.memoryBytes)}`],
    ['up for', host === undefined ? '' : duration(Number(host.uptimeSeconds))],
  ]);
}
