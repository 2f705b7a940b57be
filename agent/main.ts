/** `holdfast agent`: starts the agent of this node and stops it cleanly on SIGTERM or SIGINT. */
import { once } from 'node:events';
import { Command } from 'commander';
import { systemClock } from '#common/clock.ts';
import { runDaemon } from '#common/daemon.ts';
import { ERROR_CODES } from '#common/errors.ts';
import { createLogger } from '#common/log.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { startAgent } from './agent.ts';
import { loadAgentConfig } from './config.ts';
import { stopInTime } from './stop-in-time.ts';

const program = new Command('holdfast agent')
  .description('The agent of a node: holds its vault (management nodes), backs up and restores its sources.')
  .version(PRODUCT_VERSION)
  .requiredOption('--config <file>', 'agent.yaml of this node, as written by `holdfast init`');

/** Shorter than the 90 s after which systemd kills. */
const STOP_MS = 60_000;

async function main(): Promise<void> {
  const log = createLogger('agent');
  const config = await loadAgentConfig(program.opts<{ config: string }>().config);
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  const agent = await startAgent(config, systemClock, log);
  log.info({ node: config.node, version: PRODUCT_VERSION, vault: agent.vaultUrl }, 'agent started');
  await stopped;
  log.info({ node: config.node }, 'agent stopping');
  if (await stopInTime(() => agent.stop(), STOP_MS, systemClock)) return log.info({ node: config.node }, 'agent stopped');
  log.error(
    { node: config.node, waitedMs: STOP_MS },
    'the agent did not stop in time, and ends: its next start puts right the rest',
  );
  process.exit(ERROR_CODES.TIMEOUT.exit);
}

await runDaemon(program, 'start the agent', main);
