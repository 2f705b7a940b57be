/** `holdfast set import`: the catalogue from the manifests in the vaults. */
import type { Command } from 'commander';
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { callThrough } from './call-through.ts';
import type { Context } from './context.ts';
import { printFields } from './output.ts';
import { say } from './terminal.ts';

export function addSetImport(set: Command, context: Context): void {
  set
    .command('import')
    .description(
      'Read every manifest in the vaults and add to the catalogue the sets and runs that it does not know; changes nothing that it knows.',
    )
    .action(async () => {
      await context.withApi(async (api) => {
        // An answer first: an unreachable controller is told at once.
        await api.call(Admin.getSpace, {});
        say(context.terminal, 'reading the manifests of every vault');
        const { importedSets, knownSets, faults } = await callThrough(context, (requestId) =>
          api.call(Admin.importSets, { requestId }, {}),
        );
        context.print({ importedSets, knownSets, faults }, () => {
          printFields(context.terminal, [
            ['imported sets', String(importedSets)],
            ['known already', String(knownSets)],
            ...faults.map((fault) => ['fault', fault] as const),
          ]);
        });
        requireSound(faults);
      });
    });
}

/** Whatever is good was imported: the status tells scripts that it was not all. @throws AppError DAMAGED */
function requireSound(faults: readonly string[]): void {
  const [first] = faults;
  if (first === undefined) return;
  throw new AppError('DAMAGED', `${faults.length} manifest(s) in the vaults do not count, the first: ${first}`, {
    hint: 'All others were imported. Look at the files named: a set that the other vault holds whole is restored from there.',
  });
}
