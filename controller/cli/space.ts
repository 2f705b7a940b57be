/** `holdfast space`: the room in every vault, and where every node spools. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { NodeSpace } from '#common/gen/holdfast/v1/admin.ts';
import type { Context } from './context.ts';
import { printTable, size } from './output.ts';

export function addSpace(program: Command, context: Context): void {
  program
    .command('space')
    .description('Show the space of every vault, and of every node to spool dumps in.')
    .action(async () => {
      const { nodes } = await context.withApi((api) => api.call(Admin.getSpace, {}));
      context.print(nodes, () =>
        printTable(context.terminal, ['node', 'role', 'vault', 'free', 'backups', 'spool free'], nodes.map(row)),
      );
    });
}

function row({ node, managementRole, vault, spool }: NodeSpace): string[] {
  const sizes = vault === undefined ? ['-', '-', '-'] : [vault.totalBytes, vault.freeBytes, vault.usedByBackupsBytes].map(size);
  return [node, managementRole === '' ? '-' : managementRole, ...sizes, spool === undefined ? '-' : size(spool.freeBytes)];
}
