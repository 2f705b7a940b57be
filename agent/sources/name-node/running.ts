/** Whether a NameNode runs on a name directory, and what it says of itself. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { isLocked } from '../file-lock.ts';
import type { NameNodeFacts } from './facts.ts';
import type { NameNodeSettings } from './settings.ts';
import { askBean } from './storage.ts';

const CONNECT_MS = 3000;
/** A large namespace takes minutes to load. */
const SERVES_WITHIN_MS = 1_800_000;
const ASK_EVERY_MS = 500;
/** DataNodes ask every few seconds whether it is back; those kept stopped, as the plan advises, never do. */
const DATA_NODES_WITHIN_MS = 60_000;

/** Why it must be stopped first; undefined: nothing runs on these directories. */
export async function runningNameNode(rpcAddress: string, directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const lock = join(directory, 'in_use.lock');
    if (await isLocked(lock)) return `a process holds ${lock}`;
  }
  return (await accepts(rpcAddress)) ? `something answers at ${rpcAddress}` : undefined;
}

function accepts(address: string): Promise<boolean> {
  const [host, port] = [address.slice(0, address.lastIndexOf(':')), Number(address.slice(address.lastIndexOf(':') + 1))];
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_MS });
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}

const infoSchema = z.object({ beans: z.tuple([z.object({ ClusterId: z.string(), Safemode: z.string() })]) });
const systemSchema = z.object({
  beans: z.tuple([
    z.object({
      LastWrittenTransactionId: z.coerce.bigint(),
      FilesTotal: z.int(),
      MissingBlocks: z.int(),
      NumLiveDataNodes: z.int(),
    }),
  ]),
});

/**
 * Waits until it serves the metadata of the backup or, where no DataNode runs, has loaded them and waits for one in safe mode.
 * @throws AppError TIMEOUT, FAILED when it is another cluster.
 */
export async function waitUntilServing(
  settings: NameNodeSettings,
  facts: NameNodeFacts,
  clock: Clock,
  signal: AbortSignal,
): Promise<string[]> {
  const end = clock.monotonic() + SERVES_WITHIN_MS;
  let answeredFirst: number | undefined;
  const address = `${settings.httpScheme}://${settings.httpAddress}`;
  for (;;) {
    const found = await ask(settings, signal);
    if (found !== undefined) {
      if (found.clusterId !== facts.clusterId)
        throw new AppError('FAILED', `the NameNode at ${address} is of the cluster ${found.clusterId}`);
      if (found.lastTxid < BigInt(facts.lastTxid)) {
        throw new AppError(
          'FAILED',
          `the NameNode at ${address} ends at transaction ${found.lastTxid}, the backup at ${facts.lastTxid}`,
        );
      }
      answeredFirst ??= clock.monotonic();
      const lonely = found.dataNodes === 0 && clock.monotonic() - answeredFirst >= DATA_NODES_WITHIN_MS;
      if (found.safemode === '' || lonely) return said(found, address, facts);
    }
    if (clock.monotonic() >= end) {
      throw new AppError('TIMEOUT', `the NameNode at ${address} does not serve: ${found?.safemode ?? 'it does not answer'}`);
    }
    await clock.sleep(ASK_EVERY_MS, signal);
  }
}

function said(found: Said, address: string, facts: NameNodeFacts): string[] {
  const { clusterId, lastTxid, safemode, files, missing } = found;
  const point = `cluster ${clusterId}, at transaction ${lastTxid} (the backup: ${facts.lastTxid})`;
  if (safemode === '') {
    return [`the NameNode serves at ${address}, ${point}`, `${files} files and directories, ${missing} missing blocks`];
  }
  return [
    `the NameNode has loaded ${files} files and directories at ${address}, ${point}`,
    `no DataNode has reported yet; start them, until then: ${safemode}`,
  ];
}

interface Said {
  readonly clusterId: string;
  /** Empty when it has left safe mode. */
  readonly safemode: string;
  readonly lastTxid: bigint;
  readonly files: number;
  readonly missing: number;
  readonly dataNodes: number;
}

/** undefined: it does not answer yet, or not all of it. */
async function ask(settings: NameNodeSettings, signal: AbortSignal): Promise<Said | undefined> {
  try {
    const info = infoSchema.safeParse(await askBean(settings, 'NameNodeInfo', signal));
    const system = systemSchema.safeParse(await askBean(settings, 'FSNamesystem', signal));
    if (!info.success || !system.success) return undefined;
    const { ClusterId: clusterId, Safemode: safemode } = info.data.beans[0];
    const {
      LastWrittenTransactionId: lastTxid,
      FilesTotal: files,
      MissingBlocks: missing,
      NumLiveDataNodes: dataNodes,
    } = system.data.beans[0];
    return { clusterId, safemode, lastTxid, files, missing, dataNodes };
  } catch {
    // It is still starting; a stop is a failure, an answer that does not come is told at the time-out.
    signal.throwIfAborted();
    return undefined;
  }
}
