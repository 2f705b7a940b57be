/**
 * LocalDir: one stream of bytes to the vaults of the active and the standby management node at once, at the pace of the slower. The
 * active must succeed. A standby that fails, takes nothing any more, or holds up the active for too long in all is dropped and reported;
 * it neither stops nor spoils the active's copy.
 */
import type { Readable } from 'node:stream';
import { AppError, toAppError } from '#common/errors.ts';
import { begin, stirred } from './branch.ts';
import type { Branch, LocalDirVault } from './branch.ts';
import { endOf, patienceOf, waitFor } from './patience.ts';
import type { Patience, PatienceOptions } from './patience.ts';
import type { Digest, Stored } from './target.ts';

export interface PutAllResult {
  /** As the active vault has it. */
  readonly stored: Stored;
  readonly results: readonly { readonly node: string; readonly failed?: AppError }[];
}

/**
 * Handed on in pieces of this size, however large they come (20 MiB from the packer): by them a slow line is seen to move. At this size they
 * cost nothing that could be measured; pieces of 64 KiB cost a tenth more of the processor.
 */
const PIECE = 256 * 1024;

export function openLocalDir(vaults: readonly LocalDirVault[], options: PatienceOptions = {}) {
  return {
    /** @throws AppError of the active vault, or of the source of the bytes. */
    async putAll(key: string, bytes: Readable, signal: AbortSignal, known?: Promise<Digest>): Promise<PutAllResult> {
      const branches = vaults.map((vault) => begin(vault, key, signal, known));
      const active = branches.find(({ vault }) => vault.active);
      if (active === undefined) throw new AppError('BUG', `store ${key}: no vault is the active one`);
      const patience = patienceOf(options);
      try {
        await feed(bytes, branches, active, patience);
      } catch (error) {
        bytes.destroy();
        const failure = active.failed ?? toAppError(error, `store ${key}`);
        for (const { pipe, stop } of branches) {
          stop.abort(failure);
          pipe.destroy(failure);
        }
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
      return { stored, results: await Promise.all(branches.map((branch) => resultOf(branch, stored, patience))) };
    },
  };
}

async function feed(bytes: Readable, branches: readonly Branch[], active: Branch, patience: Patience): Promise<void> {
  const standbys = branches.filter((branch) => branch !== active);
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      if (active.pipe.destroyed) await active.done;
      if (active.failed !== undefined) throw active.failed;
      const piece = chunk.subarray(at, at + PIECE);
      for (const { pipe } of branches) if (!pipe.destroyed) pipe.write(piece);
      while (active.pipe.writableNeedDrain) await stirred([active]);
      for (const standby of standbys) {
        const ready = () => !standby.pipe.writableNeedDrain || active.pipe.destroyed;
        if (!ready()) await waitFor(standby, ready, [standby, active], patience);
      }
    }
  }
  if (active.pipe.destroyed) await active.done;
  if (active.failed !== undefined) throw active.failed;
}

async function resultOf(branch: Branch, active: Stored, patience: Patience): Promise<{ node: string; failed?: AppError }> {
  const { node, target } = branch.vault;
  const stored = branch.vault.active ? active : await endOf(branch, patience);
  if (stored instanceof AppError) return { node, failed: stored };
  if (stored.sha256 !== active.sha256) {
    return { node, failed: new AppError('DAMAGED', `${target.name} wrote something else than the active vault`) };
  }
  return { node };
}
