/**
 * Agents, many of them in this one process: each has its own certificate and its own line to the controller, by the code of the real
 * agent. They succeed at once in whatever they are given, and tell when they were given it.
 */
import { once } from 'node:events';
import pLimit from 'p-limit';
import { pino } from 'pino';
import { issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import type { Assign, BackupWork, Finished, VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import { SOURCE_NAMES, backupFileKeys } from '#common/names.ts';
import type { SourceName } from '#common/names.ts';
import { openSession } from '../../agent/session/session.ts';
import type { Session } from '../../agent/session/session.ts';

export interface AgentsWanted {
  readonly address: string;
  readonly count: number;
  readonly authority: KeyAndCertificate;
}

export type AgentsSaid =
  | { readonly kind: 'ready' }
  /** All of them, after so many seconds. */
  | { readonly kind: 'welcomed'; readonly seconds: number }
  | { readonly kind: 'assigned'; readonly task: string; readonly atMs: number };

/** The two management nodes and two more offer the sources, as in the quickstart; the others just live. */
const nodeName = (index: number) => ['mn1', 'mn2'][index] ?? `n${String(index).padStart(4, '0')}`;
const say = (message: AgentsSaid) => void process.send?.(message);

const [{ address, count, authority }] = (await once(process, 'message')) as [AgentsWanted];
const now = systemClock.now();
const issuing = pLimit(8);
const certificates = await Promise.all(
  Array.from({ length: count }, (_, index) =>
    issuing(() => issueCertificate(authority, { commonName: nodeName(index), role: 'agent', hosts: [], days: 1, now })),
  ),
);
say({ kind: 'ready' });
await once(process, 'message');

const began = systemClock.monotonic();
const welcomed = new Set<string>();
const sessions = certificates.map((certificate, index) => live(nodeName(index), SOURCE_NAMES[index], certificate));
await once(process, 'SIGTERM');
await Promise.all(sessions.map((session) => session.stop()));
process.exit(0);

function live(node: string, source: SourceName | undefined, { certPem, keyPem }: KeyAndCertificate): Session {
  const tls = { ca: Buffer.from(authority.certPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
  const vault = node.startsWith('mn') ? vaultOf(node) : undefined;
  const session = openSession({
    addresses: [address],
    tls,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    welcomeMs: 120_000,
    hello: async () => ({
      node,
      version: '0.1.0',
      host: hostOf(node),
      sources: source === undefined ? [] : [source],
      vault,
      running: [],
      finished: [],
      certificateEndsMs: 0n,
    }),
    unacknowledged: async () => [],
    async heartbeat() {
      // The first one follows the Welcome.
      if (!welcomed.has(node) && welcomed.add(node).size === count) {
        say({ kind: 'welcomed', seconds: (systemClock.monotonic() - began) / 1000 });
      }
      return { host: hostOf(node), vault };
    },
    async onAssign(assign) {
      const atMs = systemClock.now();
      if (assign.work?.$case === 'backup') say({ kind: 'assigned', task: assign.work.value.task, atMs });
      const { assignmentId, runId, attempt } = assign;
      session.finished({ assignmentId, runId, attempt, endedMs: BigInt(atMs), outcome: success(assign, source) });
    },
    onCancel: () => undefined,
    onAcknowledged: async () => undefined,
  });
  return session;
}

function hostOf(hostname: string): HostFacts {
  return {
    hostname,
    os: 'Debian GNU/Linux 12',
    kernel: '6.1.0-18-amd64',
    cpus: 32,
    memoryBytes: 137_438_953_472n,
    freeMemoryBytes: 64_000_000_000n,
    loadPercent: 12,
    uptimeSeconds: 1_234_567n,
    clockMs: BigInt(systemClock.now()),
    spool: undefined,
    bootId: hostname,
  };
}

function vaultOf(node: string): VaultFacts {
  const space = { totalBytes: 2_000_000_000_000n, freeBytes: 1_500_000_000_000n, usedByBackupsBytes: 400_000_000_000n };
  return { url: `https://${node}:7443`, space };
}

function success(assign: Assign, source: SourceName | undefined): Finished['outcome'] {
  switch (assign.work?.$case) {
    case 'backup':
      return backedUp(assign.work.value, source ?? 'OMS');
    case 'delete':
      return { $case: 'delete', value: { keys: [] } };
    case 'mirror':
      return { $case: 'mirror', value: { copiedBytes: 1n } };
    default:
      return { $case: 'failed', value: { code: 'INVALID', message: 'not asked for in this benchmark', hint: '' } };
  }
}

function backedUp(work: BackupWork, source: SourceName): NonNullable<Finished['outcome']> {
  const keys = backupFileKeys({
    task: work.task,
    taskCreatedMs: Number(work.taskCreatedMs),
    source,
    runStartedMs: Number(work.runStartedMs),
    version: work.productVersion,
  });
  const stored = (key: string) => ({ key, sizeBytes: 123_456n, sha256: 'ab'.repeat(32) });
  const file = {
    source,
    manifest: stored(keys.manifest),
    archive: stored(keys.archive),
    index: stored(keys.index),
    entries: 321n,
    contentBytes: 987_654_321n,
  };
  return { $case: 'backup', value: { file, vaults: work.vaults.map(({ node }) => ({ node, failed: undefined })) } };
}
