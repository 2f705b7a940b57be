/**
 * The work of an agent on real vaults and a real journal, with a scripted source; the controller's part is played by the test. The agent
 * can be killed: whatever it was about to write is never written.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { Assign } from '#common/gen/holdfast/v1/agent.ts';
import type { Finished, VaultAccess } from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile } from '#common/gen/holdfast/v1/types.ts';
import { createAccepting } from '../../agent/run/accept.ts';
import type { RunnerOptions } from '../../agent/run/runner-options.ts';
import { recoverCutOff } from '../../agent/run/recover.ts';
import { createRunner } from '../../agent/run/runner.ts';
import { openJournal } from '../../agent/session/journal.ts';
import { finishedMessage } from '../../agent/session/to-proto.ts';
import { openVaultTarget } from '../../agent/targets/vault-target.ts';
import type { Target } from '../../agent/targets/target.ts';
import { PREFIX, certificateOf, grant, openTestVault } from '../vault/test-vault.ts';
import { scriptedSource } from './scripted-source.ts';
import type { Script } from './scripted-source.ts';

export const CREATED = 1_767_225_600_000; // 2026-01-01
export const STARTED = CREATED + 86_400_000;

type Vault = Awaited<ReturnType<typeof openTestVault>>;

export async function openFlow() {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-flow-'));
  const active = await openTestVault({ node: 'mn1' });
  const standby = await openTestVault({ node: 'mn2' });
  const agents: { kill(): Promise<void> }[] = [];

  const access = (vault: Vault, isActive: boolean, run: string, attempt: number): VaultAccess => ({
    node: vault.node,
    url: vault.url,
    active: isActive,
    grant: grant({ vault: vault.node, run, attempt }),
  });
  const both = (run: string, attempt = 1) => [access(active, true, run, attempt), access(standby, false, run, attempt)];

  async function start(script: Script = {}) {
    const agent = await startAgentWork(directory, script);
    agents.push(agent);
    return agent;
  }

  return {
    directory,
    active,
    standby,
    start,
    backup: (id: string, changes: { attempt?: number; minimumFreeBytes?: bigint } = {}): Assign =>
      Assign.fromPartial({
        assignmentId: id,
        runId: `run-${id}`,
        attempt: changes.attempt ?? 1,
        work: {
          $case: 'backup',
          value: {
            task: 'default',
            taskCreatedMs: BigInt(CREATED),
            runStartedMs: BigInt(STARTED),
            setId: 's1',
            setSources: ['OMS'],
            source: { kind: { $case: 'oms', value: {} } },
            vaults: both(`run-${id}`, changes.attempt),
            minimumFreeBytes: changes.minimumFreeBytes ?? 1n,
            productVersion: '0.1.0',
          },
        },
      }),
    restore: (id: string, file: BackupFile): Assign =>
      Assign.fromPartial({
        assignmentId: id,
        runId: `run-${id}`,
        attempt: 1,
        work: { $case: 'restore', value: { sourceFile: { file, vaults: both(`run-${id}`) } } },
      }),
    chore: (id: string, work: NonNullable<Assign['work']>): Assign => ({
      assignmentId: id,
      runId: `run-${id}`,
      attempt: 1,
      work,
    }),
    access: (vault: Vault, run: string) => access(vault, vault === active, run, 1),
    /** The state as a backup found it, and the file that the backup made. */
    async backedUp(text = 'as at the backup') {
      const agent = await start();
      await agent.source.write(text);
      const finished = await agent.run(this.backup('b1'));
      await agent.kill();
      return { file: fileOf(finished), text };
    },
    async [Symbol.asyncDispose]() {
      for (const agent of agents) await agent.kill();
      await active[Symbol.asyncDispose]();
      await standby[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What agent.ts makes around the runner, without the line to the controller. */
async function startAgentWork(directory: string, script: Script) {
  const source = scriptedSource(directory, script);
  const journal = await openJournal(join(directory, 'journal'), pino({ level: 'silent' }));
  const cutOff = await journal.begun();
  const dead = new AbortController();
  const never = new Promise<never>(() => undefined);
  /** Nothing of a dead agent goes on. */
  const alive = async <T>(point: string, act: () => Promise<T>): Promise<T> => {
    if (!dead.signal.aborted)
      await source
        .at(point, dead.signal)
        .catch((error: unknown) => (dead.signal.aborted ? never : Promise.reject(error as Error)));
    return dead.signal.aborted ? never : act();
  };
  const vaults = new Set<AsyncDisposable>();
  const logs: string[] = [];
  const ready = Promise.withResolvers<void>();
  const tls = await certificateOf('dn1');

  const options: RunnerOptions = {
    node: 'dn1',
    clock: systemClock,
    log: pino({ level: 'silent' }),
    sources: new Map([['OMS', source.source]]),
    workDirectory: join(directory, 'work'),
    concurrency: 2,
    compressionLevel: 1,
    ready: ready.promise,
    async openVault({ node, url, grant: token }, signal) {
      const target = await openVaultTarget({ node, url, grant: token, tls, windowBytes: 8 * 2 ** 20, signal });
      vaults.add(target);
      return watched(target, alive);
    },
    saveUndo: (id, undo) => alive('saveUndo', () => journal.saveUndo(id, undo)),
    markCommitted: (id) => alive('markCommitted', () => journal.markCommitted(id)),
    finish: (ended) => alive('finish', () => journal.finish(finishedMessage(ended))),
    onProgress: () => undefined,
    onLog: (_job, level, message) => void logs.push(`${level} ${message}`),
  };
  const runner = await createRunner(options);
  const recovery = new AbortController();
  const recovering = recoverCutOff(cutOff, journal, options, recovery.signal).finally(() => ready.resolve());
  const told: Finished[] = [];
  /** The journal as `accept` sees it: a test may hold up a look into it. */
  const journalSeen = { ...journal };
  const tell = (finished: Finished) => void told.push(finished);
  const give = createAccepting({ journal: journalSeen, runner, clock: systemClock, tell });

  /** Its end, everything that goes with it written down. */
  async function endOf(id: string): Promise<Finished> {
    if (cutOff.some(({ assignmentId }) => assignmentId === id)) await recovering;
    return vi.waitFor(
      async () => {
        expect(runner.running()).not.toContain(id);
        const finished = [...(await journal.finished()), ...told].find(({ assignmentId }) => assignmentId === id);
        if (finished === undefined) throw new Error(`${id} has not ended`);
        return finished;
      },
      { timeout: 20_000, interval: 20 },
    );
  }

  return {
    source,
    runner,
    journal,
    journalSeen,
    logs,
    told,
    recovering,
    stopRecovery: () => recovery.abort(),
    give,
    endOf,
    async run(assign: Assign): Promise<Finished> {
      await give(assign);
      return endOf(assign.assignmentId);
    },
    /** SIGKILL, as far as the disk and the vaults can tell. */
    async kill() {
      dead.abort();
      for (const vault of vaults) await vault[Symbol.asyncDispose]();
    },
  };
}

/** Points of their own: put archive, put index, put manifest, and after each. */
function watched(target: Target & AsyncDisposable, alive: <T>(point: string, act: () => Promise<T>) => Promise<T>) {
  const kindOf = (key: string) => /(archive|index|manifest)/.exec(key.replace('.tar.zst', '.archive'))?.[1] ?? key;
  return {
    name: target.name,
    async put(key, bytes, signal) {
      const stored = await alive(`put ${kindOf(key)} ${target.name}`, () => target.put(key, bytes, signal));
      return alive(`put ${kindOf(key)} done`, () => Promise.resolve(stored));
    },
    get: (key, signal, range) => alive(`get ${kindOf(key)} ${target.name}`, () => target.get(key, signal, range)),
    list: (prefix, signal) => alive(`list ${target.name}`, () => target.list(prefix, signal)),
    delete: (key, signal) => alive(`delete ${kindOf(key)} ${target.name}`, () => target.delete(key, signal)),
    freeSpace: (signal) => alive('freeSpace', () => target.freeSpace(signal)),
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  } satisfies Target & AsyncDisposable;
}

export function fileOf({ outcome }: Finished): BackupFile {
  if (outcome?.$case !== 'backup' || outcome.value.file === undefined) throw new Error(`no backup: ${JSON.stringify(outcome)}`);
  return outcome.value.file;
}

/** What stands in a vault below the run's prefix. */
export async function namesIn(vault: Vault): Promise<string[]> {
  const names: string[] = await readdir(join(vault.directory, PREFIX)).catch(() => []);
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

export const COMPLETE = ['0.1.0_OMS_20260102000000.index.zst', '0.1.0_OMS_20260102000000.tar.zst', 'manifest.json'];
