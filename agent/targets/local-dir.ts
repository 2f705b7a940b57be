/**
 * LocalDir: one stream of bytes to the vaults of the active and the standby management node at once, at the pace of the slower. The
 * active must succeed. A standby that fails or hangs is dropped and reported; it neither stops nor spoils the active's copy.
 */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import { AppError, toAppError } from '#common/errors.ts';
import type { Digest, Stored, Target } from './target.ts';

export interface LocalDirVault {
  readonly node: string;
  readonly target: Target;
  readonly active: boolean;
}

export interface PutAllResult {
  /** As the active vault has it. */
  readonly stored: Stored;
  readonly results: readonly { readonly node: string; readonly failed?: AppError }[];
}

export interface LocalDirOptions {
  /** How long the standby may hold up the active before it is dropped. */
  readonly standbyStallMs?: number;
  /** How long after the active it may be until its copy is durable too. */
  readonly standbyEndMs?: number;
}

/** Bytes that one vault may lag behind the other. */
const LAG = 8 * 1024 * 1024;
const STANDBY_STALL_MS = 60_000;
/** Flushing a large file to a slow disk takes minutes. */
const STANDBY_END_MS = 600_000;

interface Branch {
  readonly vault: LocalDirVault;
  readonly pipe: PassThrough;
  readonly stop: AbortController;
  /** Never rejects. */
  readonly done: Promise<Stored | AppError>;
  failed: AppError | undefined;
}

export function openLocalDir(vaults: readonly LocalDirVault[], options: LocalDirOptions = {}) {
  return {
    /** @throws AppError of the active vault, or of the source of the bytes. */
    async putAll(key: string, bytes: Readable, signal: AbortSignal, known?: Promise<Digest>): Promise<PutAllResult> {
      const branches = vaults.map((vault) => begin(vault, key, signal, known));
      const active = branches.find(({ vault }) => vault.active);
      if (active === undefined) throw new AppError('BUG', `store ${key}: no vault is the active one`);
      try {
        await feed(bytes, branches, active, options.standbyStallMs ?? STANDBY_STALL_MS);
      } catch (error) {
        bytes.destroy();
        const failure = active.failed ?? toAppError(error, `store ${key}`);
        for (const { pipe } of branches) pipe.destroy(failure);
        await Promise.all(branches.map(({ done }) => done));
        throw failure;
      }
      for (const branch of branches) if (branch.failed === undefined) branch.pipe.end();
      const stored = await active.done;
      if (stored instanceof AppError) {
        for (const branch of branches) branch.stop.abort(stored);
        await Promise.all(branches.map(({ done }) => done));
        throw stored;
      }
      const endMs = options.standbyEndMs ?? STANDBY_END_MS;
      return { stored, results: await Promise.all(branches.map((branch) => resultOf(branch, stored, endMs))) };
    },
  };
}

function begin(vault: LocalDirVault, key: string, signal: AbortSignal, known: Promise<Digest> | undefined): Branch {
  const pipe = new PassThrough({ highWaterMark: LAG });
  const stop = new AbortController();
  const done = vault.target.put(key, pipe, AbortSignal.any([signal, stop.signal]), known).catch((error: unknown) => {
    branch.failed ??= toAppError(error, `store ${key} in ${vault.target.name}`);
    pipe.destroy();
    return branch.failed;
  });
  const branch: Branch = { vault, pipe, stop, done, failed: undefined };
  // What ends a pipe is told by `done`.
  pipe.on('error', () => undefined);
  return branch;
}

async function feed(bytes: Readable, branches: readonly Branch[], active: Branch, stallMs: number): Promise<void> {
  for await (const chunk of bytes) {
    if (active.failed !== undefined) throw active.failed;
    await Promise.all(branches.map((branch) => write(branch, chunk as Buffer, branch === active ? undefined : stallMs)));
  }
  if (active.failed !== undefined) throw active.failed;
}

async function write(branch: Branch, chunk: Buffer, stallMs: number | undefined): Promise<void> {
  const { pipe, done, stop, vault } = branch;
  if (branch.failed !== undefined || pipe.destroyed || pipe.write(chunk)) return;
  const waiting = new AbortController();
  const limit = stallMs === undefined ? waiting.signal : AbortSignal.any([waiting.signal, AbortSignal.timeout(stallMs)]);
  try {
    await Promise.race([once(pipe, 'drain', { signal: limit }), done]);
  } catch {
    // The pipe broke while it was waited for: whose fault that is, and whether it ends the run, is told by `done`.
    if (!limit.aborted) return void (await done);
    const stalled = new AppError('TIMEOUT', `${vault.target.name} took no bytes for ${(stallMs ?? 0) / 1000} s and is left out`);
    stop.abort(stalled);
    pipe.destroy();
  } finally {
    waiting.abort();
  }
}

async function resultOf(branch: Branch, active: Stored, endMs: number): Promise<{ node: string; failed?: AppError }> {
  const { node, target } = branch.vault;
  const late = new AppError(
    'TIMEOUT',
    `${target.name} did not end within ${endMs / 1000} s after the active vault and is left out`,
  );
  AbortSignal.timeout(endMs).addEventListener('abort', () => branch.stop.abort(late), { once: true });
  const stored = await branch.done;
  if (stored instanceof AppError) return { node, failed: stored };
  if (stored.sha256 !== active.sha256) {
    return { node, failed: new AppError('DAMAGED', `${target.name} wrote something else than the active vault`) };
  }
  return { node };
}
