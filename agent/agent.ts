/** An agent of one node: its vault (on management nodes), its sources, and its line to the controller. */
import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { Hello, VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { Logger } from '#common/log.ts';
import type { SourceName } from '#common/names.ts';
import { claimDirectory } from '#common/only-one.ts';
import { certificateEnds, loadCredentials } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import type { AgentConfig } from './config.ts';
import { createAccepting } from './run/accept.ts';
import type { FinishedJob, VaultAccess } from './run/job.ts';
import { recoverCutOff } from './run/recover.ts';
import { createRunner } from './run/runner.ts';
import type { RunnerOptions } from './run/runner-options.ts';
import { endsInHello } from './session/ends-in-hello.ts';
import { createFact } from './session/fact.ts';
import { createHostFacts } from './session/host-facts.ts';
import { openJournal } from './session/journal.ts';
import { createProgressReporter } from './session/progress.ts';
import { openSession } from './session/session.ts';
import { finishedMessage } from './session/to-proto.ts';
import { createSources } from './sources/index.ts';
import type { Source } from './sources/source.ts';
import type { Target } from './targets/target.ts';
import { openVaultTarget } from './targets/vault-target.ts';
import { startVault as serveVault } from './vault/vault.ts';
import type { Vault } from './vault/vault.ts';

export interface Agent {
  /** The vault's address, when this node holds one. */
  readonly vaultUrl: string | undefined;
  /** Stops what runs, tells the controller, and waits for all of it. */
  stop(): Promise<void>;
}

/** What an agent works with. By default what its configuration names: its sources, its own vault, and vaults over the network. */
export interface AgentParts {
  readonly sources: ReadonlyMap<SourceName, Source>;
  /** undefined: this node holds none. */
  startVault(): Promise<Vault | undefined>;
  openVault(access: VaultAccess, signal: AbortSignal): Promise<Target & AsyncDisposable>;
}

/** @throws AppError when anything of it cannot be started; then nothing of it is left open. */
export async function startAgent(
  config: AgentConfig,
  clock: Clock,
  log: Logger,
  given: Partial<AgentParts> = {},
): Promise<Agent> {
  await using opened = new AsyncDisposableStack();
  const tls = await loadCredentials(config.tls);
  const parts: AgentParts = { ...configuredParts(config, tls, clock, log), ...given };
  await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
  opened.use(await claimDirectory(config.stateDirectory, 'agent'));
  const journal = await openJournal(join(config.stateDirectory, 'journal'), log);
  const cutOff = await journal.begun();

  const { sources } = parts;
  const ready = Promise.withResolvers<void>();
  const progress = createProgressReporter(clock, (value) => session.hint({ $case: 'progress', value }));
  const options: RunnerOptions = {
    node: config.node,
    clock,
    log,
    sources,
    workDirectory: join(config.stateDirectory, 'work'),
    concurrency: config.concurrency,
    compressionLevel: config.compressionLevel,
    ready: ready.promise,
    openVault: (access, signal) => parts.openVault(access, signal),
    saveUndo: (id, undo) => journal.saveUndo(id, undo),
    markCommitted: (id) => journal.markCommitted(id),
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
  const vault = await parts.startVault();
  opened.defer(async () => vault?.stop());

  const hostFacts = createHostFacts(clock, config.stateDirectory, log);
  const vaultSpace = createFact('the space of the vault', log, async () => vault?.space());
  async function vaultFacts(): Promise<VaultFacts | undefined> {
    if (vault === undefined) return undefined;
    const space = await vaultSpace();
    return { url: config.vault?.url ?? vault.url, space: space && spaceMessage(space, config) };
  }

  const session = openSession({
    addresses: config.controller.addresses,
    tls,
    clock,
    log,
    async hello(): Promise<Hello> {
      // What a death cut off is told as running until it is put right: the controller must not hand it out again meanwhile.
      const running = [...runner.running(), ...(await journal.begun()).map(({ assignmentId }) => assignmentId)];
      // After that: what ends meanwhile is in both then, and never in neither.
      const { told, untold } = endsInHello(await journal.finished());
      return {
        node: config.node,
        version: PRODUCT_VERSION,
        host: await hostFacts(),
        sources: [...sources.keys()],
        vault: await vaultFacts(),
        running: [...new Set([...running, ...untold])],
        finished: told,
        certificateEndsMs: BigInt(certificateEnds(tls.cert)),
      };
    },
    unacknowledged: () => journal.finished(),
    heartbeat: async () => ({
      host: await hostFacts(),
      vault: await vaultFacts(),
    }),
    onAssign: createAccepting({ journal, runner, clock, tell: (ended) => session.finished(ended) }),
    onCancel: (id, reason) => runner.cancel(id, reason),
    onAcknowledged: (id) => journal.acknowledge(id),
  });

  const stopping = new AbortController();
  const recovering = recoverCutOff(cutOff, journal, options, stopping.signal).finally(() => ready.resolve());
  const held = opened.move();
  return {
    vaultUrl: vault?.url,
    async stop() {
      const ended = runner.stop();
      stopping.abort(new AppError('STOPPED', 'the agent is shutting down'));
      await Promise.all([recovering, ended]);
      await session.stop();
      await held.disposeAsync();
    },
  };
}

function configuredParts(config: AgentConfig, tls: TlsFiles, clock: Clock, log: Logger): AgentParts {
  return {
    sources: createSources(config.sources),
    startVault: () => startOwnVault(config, tls, clock, log),
    openVault: (access, signal) => openVaultOf(access, config, tls, signal),
  };
}

async function startOwnVault(config: AgentConfig, tls: TlsFiles, clock: Clock, log: Logger): Promise<Vault | undefined> {
  if (config.vault === undefined) return undefined;
  const { directory, listen, grantKey, capBytes, minimumFree } = config.vault;
  return serveVault({
    directory,
    listen,
    tls,
    nodeName: config.node,
    grantPublicKey: await readGrantKey(grantKey),
    limits: { capBytes, minimumFreeBytes: minimumFree },
    windowBytes: Number(config.transferWindow),
    clock,
    log,
  });
}

async function readGrantKey(path: string): Promise<KeyObject> {
  try {
    return createPublicKey(await readFile(path));
  } catch (error) {
    throw new AppError('INVALID', `the key for grants ${path} cannot be used: ${toAppError(error, 'read it').message}`, {
      cause: error,
      hint: "Copy the controller's grant.pub, as `holdfast init` made it, to that place.",
    });
  }
}

function openVaultOf(access: VaultAccess, config: AgentConfig, tls: TlsFiles, signal: AbortSignal) {
  return openVaultTarget({
    node: access.node,
    url: access.url,
    grant: access.grant,
    tls,
    windowBytes: Number(config.transferWindow),
    signal,
  });
}

function spaceMessage(
  { totalBytes, freeBytes, usedByBackupsBytes }: Awaited<ReturnType<Vault['space']>>,
  { vault }: AgentConfig,
): NonNullable<VaultFacts['space']> {
  return { totalBytes, freeBytes, usedByBackupsBytes, capBytes: vault?.capBytes, minimumFreeBytes: vault?.minimumFree };
}
