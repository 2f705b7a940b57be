/** Whether a NameNode runs on a name directory, and what it says of itself. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { request } from 'undici';
import { z } from 'zod';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { statOrMissing } from '../configuration/tree.ts';
import type { NameNodeFacts } from './facts.ts';
import type { NameNodeSettings } from './settings.ts';

const CONNECT_MS = 3000;
/** A large namespace takes minutes to load. */
const SERVES_WITHIN_MS = 1_800_000;
const ASK_EVERY_MS = 500;

/** Why it must be stopped first; undefined: nothing runs. */
export async function runningNameNode(settings: NameNodeSettings): Promise<string | undefined> {
  if (await isLocked(join(settings.nameDirectory, 'in_use.lock'))) return `a process holds ${settings.nameDirectory}/in_use.lock`;
  if (await accepts(settings.rpcAddress)) return `something answers at ${settings.rpcAddress}`;
  return undefined;
}

/** Java's file locks are POSIX locks, which the kernel lists by device and inode. */
async function isLocked(path: string): Promise<boolean> {
  const stat = await statOrMissing(path);
  if (stat === undefined) return false;
  const locks = await readFile('/proc/locks', 'utf8');
  return new RegExp(`^\\d+: POSIX .* [0-9a-f]+:[0-9a-f]+:${stat.ino} `, 'm').test(locks);
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
  beans: z.tuple([z.object({ LastWrittenTransactionId: z.coerce.bigint(), FilesTotal: z.int(), MissingBlocks: z.int() })]),
});

/** Waits until it has left safe mode with the metadata of the backup. @throws AppError TIMEOUT, FAILED when it is another cluster. */
export async function waitUntilServing(
  settings: NameNodeSettings,
  facts: NameNodeFacts,
  clock: Clock,
  signal: AbortSignal,
): Promise<string[]> {
  const end = clock.monotonic() + SERVES_WITHIN_MS;
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
      if (found.safemode === '') {
        return [
          `the NameNode serves at ${address}, cluster ${found.clusterId}, at transaction ${found.lastTxid} (the backup: ${facts.lastTxid})`,
          `${found.files} files and directories, ${found.missing} missing blocks`,
        ];
      }
    }
    if (clock.monotonic() >= end) {
      throw new AppError('TIMEOUT', `the NameNode at ${address} does not serve: ${found?.safemode ?? 'it does not answer'}`);
    }
    await clock.sleep(ASK_EVERY_MS, signal);
  }
}

interface Said {
  readonly clusterId: string;
  /** Empty when it has left safe mode. */
  readonly safemode: string;
  readonly lastTxid: bigint;
  readonly files: number;
  readonly missing: number;
}

/** undefined: it does not answer yet, or not all of it. */
async function ask({ httpScheme, httpAddress }: NameNodeSettings, signal: AbortSignal): Promise<Said | undefined> {
  const bean = async (name: string): Promise<unknown> => {
    const response = await request(`${httpScheme}://${httpAddress}/jmx?qry=Hadoop:service=NameNode,name=${name}`, { signal });
    return response.body.json();
  };
  try {
    const info = infoSchema.safeParse(await bean('NameNodeInfo'));
    const system = systemSchema.safeParse(await bean('FSNamesystem'));
    if (!info.success || !system.success) return undefined;
    const { ClusterId: clusterId, Safemode: safemode } = info.data.beans[0];
    const { LastWrittenTransactionId: lastTxid, FilesTotal: files, MissingBlocks: missing } = system.data.beans[0];
    return { clusterId, safemode, lastTxid, files, missing };
  } catch {
    // It is still starting; a stop is a failure, an answer that does not come is told at the time-out.
    signal.throwIfAborted();
    return undefined;
  }
}
