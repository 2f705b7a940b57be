/** `holdfast controller`: one controller, from its configuration to SIGTERM or SIGINT. */
import { once } from 'node:events';
import { systemClock } from '#common/clock.ts';
import { createLogger } from '#common/log.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { openCatalogue } from './catalogue.ts';
import { loadControllerConfig } from './config.ts';
import { startController } from './controller.ts';

export async function serve(configFile: string): Promise<void> {
  const log = createLogger('controller');
  const config = await loadControllerConfig(configFile);
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await using catalogue = await openCatalogue(config);
  const controller = await startController(config, catalogue.store, systemClock, log);
  log.info({ address: controller.address, version: PRODUCT_VERSION }, 'controller started');
  await Promise.race([stopped, controller.ended]);
  log.info('controller stopping');
  await controller.stop();
  log.info('controller stopped');
}
