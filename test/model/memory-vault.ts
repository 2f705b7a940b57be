/**
 * A vault in memory. It stands for the vault of a management node, because a full disk and a peer that vanishes at any moment are to be had
 * at will here; it keeps what a vault promises: all or nothing, grants, fencing. Held to the contract of targets by memory-vault.test.ts.
 */
import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { openGrant, permits } from '#common/grant.ts';
import type { Grant, Verb } from '#common/grant.ts';
import { requireKey } from '#common/names.ts';
import type { VaultAccess } from '../../agent/run/job.ts';
import type { Digest, Target, TargetSpace } from '../../agent/targets/target.ts';

/** What outlives the agent that serves it. */
export interface VaultDisk {
  readonly node: string;
  readonly files: Map<string, Buffer>;
  /** The newest attempt of each run below each prefix. */
  readonly attempts: Map<string, number>;
  full: boolean;
}

export function emptyDisk(node: string): VaultDisk {
  return { node, files: new Map(), attempts: new Map(), full: false };
}

const CAPACITY = 10n ** 12n;
/** Long enough for something to happen between two files of a backup. */
const LATENCY_MS = 150;

export function spaceOf(disk: VaultDisk): TargetSpace {
  const usedByBackupsBytes = BigInt([...disk.files.values()].reduce((sum, file) => sum + file.length, 0));
  return { totalBytes: CAPACITY, freeBytes: disk.full ? 0n : CAPACITY - usedByBackupsBytes - 1n, usedByBackupsBytes };
}

export interface MemoryVaultOptions {
  readonly disk: VaultDisk;
  /** Who opens it: the node of its certificate. */
  readonly agent: string;
  readonly access: Pick<VaultAccess, 'grant'>;
  readonly grantPublicKey: KeyObject;
  readonly clock: Clock;
  /** Both ends live and the line between them is whole. */
  reachable(): boolean;
}

export function openMemoryVault(options: MemoryVaultOptions): Target & AsyncDisposable {
  const { disk, clock } = options;
  const name = `the vault of node ${disk.node}`;

  function pass(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (!options.reachable()) throw new AppError('UNAVAILABLE', `${name} cannot be reached`);
  }

  function authorize(verb: Verb, key: string): { grant: Grant; fence: string } {
    const grant = openGrant(options.access.grant, options.grantPublicKey, clock.now());
    const own = grant.agent === options.agent && grant.vault === disk.node;
    if (!own || !permits(grant, verb, key)) throw new AppError('FORBIDDEN', `${verb} ${key}: the grant does not open this`);
    const prefix = grant.prefixes.find((each) => key.startsWith(each)) ?? '';
    return { grant, fence: `${grant.run} ${prefix}` };
  }

  /** From here on older attempts are fenced; answers the check that this one is not. */
  function fenced(verb: Verb, key: string): () => void {
    const { grant, fence } = authorize(verb, key);
    disk.attempts.set(fence, Math.max(grant.attempt, disk.attempts.get(fence) ?? 1));
    return () => {
      if (grant.attempt < (disk.attempts.get(fence) ?? 1)) throw new AppError('FENCED', `attempt ${grant.attempt} was given up`);
    };
  }

  function requireRoom(doing: string): void {
    if (disk.full) throw new AppError('NO_SPACE', `${doing}: the partition of ${disk.node} is full`);
  }

  async function receive(key: string, bytes: Readable, signal: AbortSignal, known: Promise<Digest> | undefined) {
    requireKey(key);
    const doing = `store ${key} in ${name}`;
    pass(signal);
    const requireNewest = fenced('put', key);
    requireNewest();
    const chunks: Buffer[] = [];
    for await (const chunk of abortable(bytes, signal)) {
      pass(signal);
      requireRoom(doing);
      chunks.push(Buffer.from(chunk as Buffer));
    }
    await clock.sleep(LATENCY_MS, signal);
    const content = Buffer.concat(chunks);
    const written = { size: BigInt(content.length), sha256: createHash('sha256').update(content).digest('hex') };
    const sent = await (known ?? written);
    if (sent.size !== written.size || sent.sha256 !== written.sha256)
      throw new AppError('DAMAGED', `${doing}: other bytes arrived`);
    pass(signal);
    requireRoom(doing);
    requireNewest();
    disk.files.set(key, content);
    return { key, ...written };
  }

  return {
    name,
    async put(key, bytes, signal, known) {
      try {
        return await receive(key, bytes, signal, known);
      } catch (error) {
        bytes.destroy();
        throw toAppError(error, `store ${key} in ${name}`);
      }
    },
    async get(key, signal, range) {
      requireKey(key);
      pass(signal);
      authorize('get', key);
      const content = disk.files.get(key);
      if (content === undefined) throw new AppError('NOT_FOUND', `there is no ${key} in ${name}`);
      const { start, end } = range ?? { start: 0n, end: BigInt(content.length) };
      if (end > BigInt(content.length)) throw new AppError('INVALID', `${key} has no bytes up to ${end}`);
      return Readable.from(
        (async function* () {
          await clock.sleep(LATENCY_MS, signal);
          pass(signal);
          yield content.subarray(Number(start), Number(end));
        })(),
        { objectMode: false },
      );
    },
    async list(prefix, signal) {
      pass(signal);
      fenced('list', prefix);
      const keys = [...disk.files.keys()].filter((key) => key.startsWith(prefix)).toSorted((a, b) => (a < b ? -1 : 1));
      return keys.map((key) => ({ key, size: BigInt(disk.files.get(key)?.length ?? 0) }));
    },
    async delete(key, signal) {
      requireKey(key);
      pass(signal);
      fenced('delete', key)();
      disk.files.delete(key);
    },
    async freeSpace(signal) {
      pass(signal);
      return spaceOf(disk);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Reading that ends with the signal, also while nothing comes. */
async function* abortable(bytes: Readable, signal: AbortSignal): AsyncGenerator {
  const abort = () => bytes.destroy(toAppError(signal.reason, 'store'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    yield* bytes;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
