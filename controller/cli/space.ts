/** `holdfast space`: the room in every vault, and where every node spools. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { NodeSpace } from '#common/gen/holdfast/v1/admin.ts';
import type { Context } from './context.ts';
import { printTable, size, time } from './output.ts';

export function addSpace(program: Command, context: Context): void {
  program
    .command('space')
    .description('Show the space of every vault, and of every node to spool dumps in; `-` of one that is away.')
    .action(async () => {
      const { nodes } = await context.withApi((api) => api.call(Admin.getSpace, {}));
      context.print(nodes, () => printTable(context.terminal, COLUMNS, nodes.map(row)));
    });
}

const COLUMNS = ['node', 'connected', 'role', 'vault', 'free', 'backups', 'spool free', 'last seen'];

function row({ node, connected, managementRole, vault, spool, lastSeenMs }: NodeSpace): string[] {
  const sizes = vault === undefined ? ['-', '-', '-'] : [vault.totalBytes, vault.freeBytes, vault.usedByBackupsBytes].map(size);
  return [
    node,
    connected ? 'yes' : 'no',
    managementRole === '' ? '-' : managementRole,
    ...sizes,
    spool === undefined ? '-' : size(spool.freeBytes),
    time(lastSeenMs),
  ];
}
