/** `holdfast agent`: starts the agent of this node and stops it cleanly on SIGTERM or SIGINT. */
import { once } from 'node:events';
import { Command } from 'commander';
import { systemClock } from '#common/clock.ts';
import { ERROR_CODES, toAppError } from '#common/errors.ts';
import { createLogger } from '#common/log.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import type { Logger } from '#common/log.ts';
import { startAgent } from './agent.ts';
import type { Agent } from './agent.ts';
import { loadAgentConfig } from './config.ts';

const program = new Command('holdfast agent')
  .description('The agent of a node: holds its vault (management nodes), backs up and restores its sources.')
  .version(PRODUCT_VERSION)
  .requiredOption('--config <file>', 'agent.yaml of this node, as written by `holdfast init`')
  .parse();

async function main(): Promise<void> {
  const log = createLogger('agent');
  const config = await loadAgentConfig(program.opts<{ config: string }>().config);
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  const agent = await startAgent(config, systemClock, log);
  log.info({ node: config.node, version: PRODUCT_VERSION, vault: agent.vaultUrl }, 'agent started');
  await stopped;
  log.info({ node: config.node }, 'agent stopping');
  await stopInTime(agent, log);
  log.info({ node: config.node }, 'agent stopped');
}

/** Shorter than the 90 s after which systemd kills. What was under way then is put right by the next start. */
const STOP_MS = 60_000;

async function stopInTime(agent: Agent, log: Logger): Promise<void> {
  const stopped = new AbortController();
  const giveUp = async () => {
    await systemClock.sleep(STOP_MS, stopped.signal);
    log.error(
      { seconds: STOP_MS / 1000 },
      'the agent did not stop in time and ends; its next start puts right what was under way',
    );
    process.exit(ERROR_CODES.TIMEOUT.exit);
  };
  giveUp().catch(() => undefined);
  await agent.stop();
  stopped.abort();
}

try {
  await main();
} catch (caught) {
  const error = toAppError(caught, 'start the agent');
  process.stderr.write(`error: ${error.message}\nnext: ${error.hint}\n`);
  process.exitCode = ERROR_CODES[error.code].exit;
}
