/** An agent's side of the Session, scripted: what it is told is kept, what it does is up to the test. */
import { backupFileKeys, isSourceName } from '#common/names.ts';
import type { Clock } from '#common/clock.ts';
import { AgentServiceClient } from '#common/gen/holdfast/v1/agent.ts';
import type {
  Assign,
  BackupWork,
  Cancel,
  Finished,
  Hello,
  SessionRequest,
  SessionResponse,
  VaultFacts,
  Welcome,
} from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile, HostFacts } from '#common/gen/holdfast/v1/types.ts';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { vi } from 'vitest';
import { grpcChannelCredentials } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';

export interface AgentOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly sources: readonly string[];
  readonly vault: VaultFacts | undefined;
  readonly host: HostFacts | undefined;
  readonly running: readonly string[];
  readonly finished: readonly Finished[];
  /** What it says when it is given work; undefined: nothing yet. */
  readonly onAssign: (assign: Assign) => Finished['outcome'];
}

export interface FakeAgent {
  readonly assigns: Assign[];
  readonly cancels: Cancel[];
  readonly acks: string[];
  readonly welcome: Welcome;
  say(message: NonNullable<SessionRequest['message']>): void;
  finish(assign: Assign, outcome: Finished['outcome']): void;
  /** The line is cut, the agent lives on elsewhere. */
  leave(): void;
  /** Why the controller ended the line. */
  readonly ended: Promise<{ code: number; details: string }>;
}

const GB = 10n ** 9n;
export const vaultFacts = (node: string, freeBytes = 100n * GB): VaultFacts => ({
  url: `https://${node}:1`,
  space: { totalBytes: 200n * GB, freeBytes, usedByBackupsBytes: 0n },
});

/** Of a node whose clock shows this. */
export const hostFacts = (clockMs: number): HostFacts => ({
  hostname: '',
  os: '',
  kernel: '',
  cpus: 1,
  memoryBytes: 1n,
  freeMemoryBytes: 1n,
  loadPercent: 0,
  uptimeSeconds: 1n,
  clockMs: BigInt(clockMs),
  spool: undefined,
  bootId: 'another machine',
});

export async function connectAgent(
  address: string,
  tls: TlsFiles,
  given: Partial<AgentOptions> & Pick<AgentOptions, 'node' | 'clock'>,
): Promise<FakeAgent> {
  const options: AgentOptions = {
    sources: [],
    vault: undefined,
    host: undefined,
    running: [],
    finished: [],
    onAssign: (assign) => success(assign),
    ...given,
  };
  const client = new AgentServiceClient(address, grpcChannelCredentials(tls), { 'grpc.use_local_subchannel_pool': 1 });
  const line: ClientDuplexStream<SessionRequest, SessionResponse> = client.session();
  const assigns: Assign[] = [];
  const cancels: Cancel[] = [];
  const acks: string[] = [];
  let welcome: Welcome | undefined;

  const finish = (assign: Assign, outcome: Finished['outcome']) => {
    const { assignmentId, runId, attempt } = assign;
    line.write({
      message: {
        $case: 'finished',
        value: { assignmentId, runId, attempt, endedMs: BigInt(options.clock.now()), outcome },
      },
    });
  };
  const ended = new Promise<{ code: number; details: string }>((resolve) => {
    line.on('error', (error: Error & { code?: number; details?: string }) =>
      resolve({ code: error.code ?? -1, details: error.details ?? error.message }),
    );
    line.on('end', () => resolve({ code: 0, details: '' }));
  });
  line.on('data', ({ message }: SessionResponse) => {
    switch (message?.$case) {
      case 'welcome':
        welcome = message.value;
        return;
      case 'assign': {
        assigns.push(message.value);
        const outcome = options.onAssign(message.value);
        if (outcome !== undefined) finish(message.value, outcome);
        return;
      }
      case 'cancel':
        cancels.push(message.value);
        return;
      case 'ack':
        acks.push(message.value.assignmentId);
        return;
      default:
        return;
    }
  });
  const { node, sources, vault, host, running, finished } = options;
  const hello: Hello = {
    node,
    version: '0.1.0',
    host,
    sources: [...sources],
    vault,
    running: [...running],
    finished: [...finished],
    certificateEndsMs: 0n,
  };
  line.write({ message: { $case: 'hello', value: hello } });
  const gone = new AbortController();
  void ended.then(() => gone.abort());
  void beat(line, options, gone.signal);
  const known = await Promise.race([
    vi.waitUntil(() => welcome, { timeout: 10_000, interval: 5 }),
    ended.then(({ code, details }) => {
      client.close();
      throw Object.assign(new Error(details), { code, details });
    }),
  ]);
  return {
    assigns,
    cancels,
    acks,
    welcome: known,
    say: (message) => void line.write({ message }),
    finish,
    leave() {
      gone.abort();
      line.cancel();
      client.close();
    },
    ended,
  };
}

const HEARTBEAT_MS = 300;

async function beat(
  line: ClientDuplexStream<SessionRequest, SessionResponse>,
  { clock, vault, host }: AgentOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(HEARTBEAT_MS, signal).catch(() => undefined);
    if (!signal.aborted) line.write({ message: { $case: 'heartbeat', value: { host, vault } } });
  }
}

/** The good end of any work. */
export function success(assign: Assign): Finished['outcome'] {
  const { work } = assign;
  switch (work?.$case) {
    case 'backup':
      return {
        $case: 'backup',
        value: { file: fileOf(work.value), vaults: work.value.vaults.map(({ node }) => ({ node, failed: undefined })) },
      };
    case 'planRestore': {
      const source = work.value.sourceFile?.file?.source ?? '';
      const nothing = { overwrites: [], mustBeStopped: [], refusals: [], warnings: [], neededBytes: 1n, freeBytes: 2n };
      return { $case: 'planRestore', value: { plan: { source, node: '', steps: [`switch ${source}`], ...nothing } } };
    }
    case 'restore':
      return { $case: 'restore', value: { checks: ['as it was'], restoredBytes: 10n } };
    case 'verify':
      return { $case: 'verify', value: { faults: [], readBytes: 10n, damage: [] } };
    case 'delete':
      return { $case: 'delete', value: { keys: [] } };
    case 'mirror':
      return { $case: 'mirror', value: { copiedBytes: 10n } };
    default:
      return undefined;
  }
}

export const failure = (message: string): NonNullable<Finished['outcome']> => ({
  $case: 'failed',
  value: { code: 'TOOL', message, hint: 'look' },
});

export function sourceOf(assign: Assign): string {
  const { work } = assign;
  const names: Record<string, string> = { oms: 'OMS', ldapServer: 'LdapServer', dbService: 'DBService', nameNode: 'NameNode' };
  if (work?.$case === 'backup') return names[work.value.source?.kind?.$case ?? ''] ?? '';
  if (work?.$case === 'restore' || work?.$case === 'planRestore') return work.value.sourceFile?.file?.source ?? '';
  return '';
}

/** What this backup would have stored. */
export function fileOf(work: BackupWork): BackupFile {
  const source = sourceOf({ assignmentId: '', runId: '', attempt: 1, work: { $case: 'backup', value: work } });
  if (!isSourceName(source)) throw new Error(`no source: ${source}`);
  const keys = backupFileKeys({
    task: work.task,
    taskCreatedMs: Number(work.taskCreatedMs),
    source,
    runStartedMs: Number(work.runStartedMs),
    version: work.productVersion,
  });
  const sha256 = 'ab'.repeat(32);
  return {
    source,
    manifest: { key: keys.manifest, sizeBytes: 500n, sha256 },
    archive: { key: keys.archive, sizeBytes: 1000n, sha256 },
    index: { key: keys.index, sizeBytes: 100n, sha256 },
    entries: 3n,
    contentBytes: 4000n,
  };
}
