/** `holdfast controller`: starts the controller and stops it cleanly on SIGTERM or SIGINT. */
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '#common/clock.ts';
import { runDaemon } from '#common/daemon.ts';
import { createLogger } from '#common/log.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { loadControllerConfig } from './config.ts';
import { startController } from './controller.ts';
import { openSqliteStore } from './store/sqlite.ts';

const program = new Command('holdfast controller')
  .description('The controller: keeps the catalogue, decides what runs when, and tells the agents.')
  .version(PRODUCT_VERSION)
  .requiredOption('--config <file>', 'controller.yaml, as written by `holdfast init`');

async function main(): Promise<void> {
  const log = createLogger('controller');
  const config = await loadControllerConfig(program.opts<{ config: string }>().config);
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
  const store = await openSqliteStore(join(config.stateDirectory, 'catalogue.sqlite'));
  try {
    const controller = await startController(config, store, systemClock, log);
    log.info({ address: controller.address, version: PRODUCT_VERSION }, 'controller started');
    await stopped;
    log.info('controller stopping');
    await controller.stop();
    log.info('controller stopped');
  } finally {
    await store.close();
  }
}

await runDaemon(program, 'start the controller', main);
