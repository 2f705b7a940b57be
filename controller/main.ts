/** `holdfast controller`: starts the controller, or carries its catalogue to another database. */
import { Command } from 'commander';
import { runDaemon } from '#common/daemon.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { exportTo, importFrom } from './move.ts';
import type { RowCounts } from './store/catalogue-file.ts';
import { serve } from './serve.ts';

const program = new Command('holdfast controller')
  .description('The controller: keeps the catalogue, decides what runs when, and tells the agents.')
  .version(PRODUCT_VERSION)
  .requiredOption('--config <file>', 'controller.yaml, as written by `holdfast init`')
  .action(() => serve(config()));
program
  .command('export <file>')
  .description('Write the whole catalogue to a new file, while no controller leads.')
  .action(async (file: string) => {
    process.stderr.write(`wrote ${file}: ${described(await exportTo(file, config()))}\n`);
  });
program
  .command('import <file>')
  .description('Fill the empty catalogue of the configuration from such a file.')
  .action(async (file: string) => {
    process.stderr.write(`took ${described(await importFrom(file, config()))}\n`);
  });

/** "2 tasks, 14 runs" */
function described(rows: RowCounts): string {
  const counts = Object.entries(rows).flatMap(([table, count]) => (count > 0 ? [`${count} ${table}`] : []));
  return counts.join(', ') || 'nothing: it is empty';
}

function config(): string {
  return program.opts<{ config: string }>().config;
}

await runDaemon(program, 'controller');
