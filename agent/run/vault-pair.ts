/**
 * The LocalDir target of one run: the vaults of the active and the standby management node, written at once. The active must
 * succeed; a standby that fails once is left out for the rest of the run, reported, and repaired later.
 */
import type { Readable } from 'node:stream';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import { openLocalDir } from '../targets/local-dir.ts';
import type { Digest, Stored, Target, TargetSpace } from '../targets/target.ts';
import type { VaultAccess, VaultResult } from './job.ts';
import type { RunIo } from './run-io.ts';

export interface VaultPair extends AsyncDisposable {
  readonly activeName: string;
  put(key: string, bytes: Readable, signal: AbortSignal, known?: Promise<Digest>): Promise<Stored>;
  /** Deletes everything below the prefix, manifests first; the active's must succeed. */
  clear(prefix: string, signal: AbortSignal): Promise<void>;
  activeSpace(signal: AbortSignal): Promise<TargetSpace>;
  results(): readonly VaultResult[];
}

interface Member {
  readonly access: VaultAccess;
  readonly target: Target & AsyncDisposable;
}

/** @throws AppError when the active vault cannot be opened. */
export async function openVaultPair(accesses: readonly VaultAccess[], io: RunIo): Promise<VaultPair> {
  const failed = new Map<string, AppError>();
  const members: Member[] = [];
  const giveUp = (access: VaultAccess, error: AppError) => {
    if (access.active) throw error;
    if (!failed.has(access.node)) {
      failed.set(access.node, error);
      io.log('warn', `the standby vault is left out of this run: ${error.message}`);
    }
  };

  await using opened = new AsyncDisposableStack();
  for (const access of accesses) {
    try {
      members.push({ access, target: opened.use(await io.openVault(access)) });
    } catch (error) {
      giveUp(access, toAppError(error, `open the vault of ${access.node}`));
    }
  }
  const active = members.find((member) => member.access.active);
  if (active === undefined) throw new AppError('BUG', 'this assignment names no active vault');
  // From here on the pair closes them.
  const open = opened.move();
  const present = () => members.filter((member) => !failed.has(member.access.node));

  return {
    activeName: active.target.name,

    async put(key, bytes, signal, known) {
      const pair = openLocalDir(present().map(({ access, target }) => ({ node: access.node, target, active: access.active })));
      const { stored, results } = await pair.putAll(key, bytes, signal, known);
      for (const result of results) {
        const member = members.find(({ access }) => access.node === result.node);
        if (member !== undefined && result.failed !== undefined) giveUp(member.access, result.failed);
      }
      return stored;
    },

    async clear(prefix, signal) {
      for (const { access, target } of present()) {
        try {
          await deleteBelow(target, prefix, signal);
        } catch (error) {
          giveUp(access, toAppError(error, `clear ${prefix} on ${target.name}`));
        }
      }
    },

    activeSpace: (signal) => active.target.freeSpace(signal),

    results: () =>
      accesses.map(({ node }) => {
        const error = failed.get(node);
        return { node, fault: error === undefined ? undefined : toFault(error) };
      }),

    async [Symbol.asyncDispose]() {
      await open.disposeAsync();
    },
  };
}

/** A manifest goes before what it names: a half-done deletion must not leave one that promises missing files. */
export async function deleteBelow(target: Target, prefix: string, signal: AbortSignal): Promise<string[]> {
  const keys = (await target.list(prefix, signal)).map((listed) => listed.key);
  const manifestsFirst = [...keys.filter(isManifest), ...keys.filter((key) => !isManifest(key))];
  for (const key of manifestsFirst) await target.delete(key, signal);
  return manifestsFirst;
}

export function isManifest(key: string): boolean {
  return key.endsWith('/manifest.json');
}
