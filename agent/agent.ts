/** An agent of one node: its vault (on management nodes), its sources, and its line to the controller. */
import { createPublicKey } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#common/clock.ts';
import { toAppError, toFault } from '#common/errors.ts';
import type { Assign, Hello, VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { Logger } from '#common/log.ts';
import { loadCredentials } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import type { AgentConfig } from './config.ts';
import type { FinishedJob, Job, VaultAccess } from './run/job.ts';
import { recoverCutOff } from './run/recover.ts';
import { createRunner } from './run/runner.ts';
import type { RunnerOptions } from './run/runner.ts';
import { jobOf } from './session/from-proto.ts';
import { readHostFacts } from './session/host-facts.ts';
import { openJournal } from './session/journal.ts';
import { createProgressReporter } from './session/progress.ts';
import { openSession } from './session/session.ts';
import { finishedMessage } from './session/to-proto.ts';
import { createSources } from './sources/index.ts';
import { openVaultTarget } from './targets/vault-target.ts';
import { startVault } from './vault/vault.ts';
import type { Vault } from './vault/vault.ts';

export interface Agent {
  /** The vault's address, when this node holds one. */
  readonly vaultUrl: string | undefined;
  /** Stops what runs, tells the controller, and waits for all of it. */
  stop(): Promise<void>;
}

export async function startAgent(config: AgentConfig, clock: Clock, log: Logger): Promise<Agent> {
  const tls = await loadCredentials(config.tls);
  await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
  const journal = await openJournal(join(config.stateDirectory, 'journal'), log);
  const sources = createSources(config.sources);
  const vault = await openOwnVault(config, tls, clock, log);

  const progress = createProgressReporter(clock, (value) => session.hint({ $case: 'progress', value }));
  const options: RunnerOptions = {
    node: config.node,
    clock,
    log,
    sources,
    workDirectory: join(config.stateDirectory, 'work'),
    concurrency: config.concurrency,
    compressionLevel: config.compressionLevel,
    openVault: (access, signal) => openVault(access, config, tls, signal),
    saveUndo: (id, undo) => journal.saveUndo(id, undo),
    forgetUndo: (id) => journal.forgetUndo(id),
    onProgress: (job, phase, done, total) => progress.report(job, phase, done, total),
    onLog: (job, level, message) => {
      const { assignmentId, attempt } = job;
      session.log({ $case: 'log', value: { assignmentId, attempt, timeMs: BigInt(clock.now()), level, message } });
    },
    async finish(job: FinishedJob) {
      const message = finishedMessage(job);
      await journal.finish(message);
      progress.forget(job.assignmentId);
      log.info({ assignment: job.assignmentId, run: job.runId, outcome: job.outcome.kind }, 'assignment ended');
      session.finished(message);
    },
  };
  const runner = await createRunner(options);

  async function accept(assign: Assign): Promise<void> {
    const told = (await journal.finished()).find(({ assignmentId }) => assignmentId === assign.assignmentId);
    if (told !== undefined) return session.finished(told);
    let job: Job;
    try {
      job = jobOf(assign);
    } catch (error) {
      const fault = toFault(toAppError(error, `read the assignment ${assign.assignmentId}`));
      return options.finish({ ...assign, endedMs: clock.now(), outcome: { kind: 'failed', fault } });
    }
    await journal.begin(assign);
    runner.start(job);
  }

  const vaultFacts = async (): Promise<VaultFacts | undefined> =>
    vault === undefined ? undefined : { url: config.vault?.url ?? vault.url, space: spaceMessage(await vault.space()) };

  const session = openSession({
    address: config.controller.address,
    tls,
    clock,
    log,
    async hello(): Promise<Hello> {
      return {
        node: config.node,
        version: PRODUCT_VERSION,
        host: await readHostFacts(clock),
        sources: [...sources.keys()],
        vault: await vaultFacts(),
        // What a death cut off is told as running until it is put right: the controller must not hand it out again meanwhile.
        running: [...new Set([...runner.running(), ...(await journal.begun()).map(({ assignmentId }) => assignmentId)])],
        finished: await journal.finished(),
      };
    },
    unacknowledged: () => journal.finished(),
    heartbeat: async () => ({ host: await readHostFacts(clock), vault: await vaultFacts(), running: runner.running() }),
    onAssign: accept,
    onCancel: (id, reason) => runner.cancel(id, reason),
    onAcknowledged: (id) => journal.acknowledge(id),
  });

  const recovering = recoverCutOff(await journal.begun(), journal, options);
  return {
    vaultUrl: vault?.url,
    async stop() {
      await recovering;
      await runner.stop();
      await session.stop();
      await vault?.stop();
    },
  };
}

async function openOwnVault(config: AgentConfig, tls: TlsFiles, clock: Clock, log: Logger): Promise<Vault | undefined> {
  if (config.vault === undefined) return undefined;
  const { directory, listen, grantKey, capBytes, minimumFree } = config.vault;
  return startVault({
    directory,
    listen,
    tls,
    nodeName: config.node,
    grantPublicKey: createPublicKey(await readFile(grantKey)),
    limits: { capBytes, minimumFreeBytes: minimumFree },
    windowBytes: Number(config.transferWindow),
    clock,
    log,
  });
}

function openVault(access: VaultAccess, config: AgentConfig, tls: TlsFiles, signal: AbortSignal) {
  return openVaultTarget({
    node: access.node,
    url: access.url,
    grant: access.grant,
    tls,
    windowBytes: Number(config.transferWindow),
    signal,
  });
}

function spaceMessage(space: Awaited<ReturnType<Vault['space']>>): NonNullable<VaultFacts['space']> {
  return { totalBytes: space.totalBytes, freeBytes: space.freeBytes, usedByBackupsBytes: space.usedByBackupsBytes };
}
