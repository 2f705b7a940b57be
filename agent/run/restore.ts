/** The restore of one source: plan → stage and verify → switch → check → commit, else roll back. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, ERROR_CODES, toAppError } from '#common/errors.ts';
import type { Manifest } from '#common/manifest.ts';
import { unpackArchive } from '../archive/unpack.ts';
import type { PreparedRestore, RestoreRequest } from '../sources/source.ts';
import type { Outcome, PlanRestoreWork, ReadableFile, RestoreOptions, RestoreWork } from './job.ts';
import { readManifest } from './read-file.ts';
import { sourceIo } from './run-io.ts';
import type { RunIo } from './run-io.ts';

export async function runPlanRestore(work: PlanRestoreWork, io: RunIo): Promise<Outcome> {
  const manifest = await fromAnyVault(work, io, async (vault) => readManifest(vault, work.file, io.signal));
  const plan = await io
    .source(work.file.source)
    .planRestore(restoreRequest(manifest, work.options), sourceIo(io, io.workDirectory));
  return { kind: 'planRestore', source: work.file.source, plan };
}

export async function runRestore(work: RestoreWork, io: RunIo): Promise<Outcome> {
  const source = io.source(work.file.source);
  const manifest = await fromAnyVault(work, io, async (vault) => readManifest(vault, work.file, io.signal));
  const request = restoreRequest(manifest, work.options);

  const { refusals } = await source.planRestore(request, sourceIo(io, await subdirectory(io, 'plan')));
  if (refusals.length > 0) throw new AppError('REFUSED', `restore ${source.name}: ${refusals.join('; ')}`);

  const unpacked = await fetchArchive(work, manifest, io);
  await using restore = await source.prepareRestore(request, sourceIo(io, await subdirectory(io, 'stage')));
  io.log('info', `staging ${source.name} beside what is there`);
  await restore.stage(unpacked);
  const checks = await switchOrRollBack(restore, source.name, io);
  await commit(restore, source.name, io);
  io.log('info', `${source.name} is restored`);
  return { kind: 'restore', checks, restoredBytes: manifest.contentBytes };
}

/** After a death before the switch: the old state was never touched, and what was staged beside it goes. */
export async function removeStaged(work: RestoreWork, io: RunIo): Promise<void> {
  try {
    const manifest = await fromAnyVault(work, io, async (vault) => readManifest(vault, work.file, io.signal));
    await io.source(work.file.source).removeStaged(restoreRequest(manifest, work.options), sourceIo(io, io.workDirectory));
  } catch (error) {
    // The next restore of the source removes it too.
    io.log('warn', toAppError(error, `remove what the restore of ${work.file.source} staged`).message);
  }
}

/** What is in place afterwards is the new state for good, or the old one; else the failure says that it is unknown. */
async function switchOrRollBack(restore: PreparedRestore, name: string, io: RunIo): Promise<readonly string[]> {
  try {
    io.log('info', `switching ${name} to the restored state`);
    await restore.switchOver((undo) => io.saveUndo(undo));
    const checks = await restore.check();
    for (const line of checks) io.log('info', line);
    await io.markCommitted();
    return checks;
  } catch (error) {
    const failure = toAppError(error, `restore ${name}`);
    io.log('error', `${failure.message}; rolling back`);
    try {
      await restore.rollBack();
    } catch (second) {
      throw unknownState(name, failure, toAppError(second, `roll back ${name}`));
    }
    io.log('info', `${name} is back in the state before the restore`);
    throw new AppError(failure.code, `${failure.message}; it was rolled back, the state before the restore is in place`, {
      cause: failure,
      hint: failure.hint,
    });
  }
}

/** Killed or failing in here, the new state stays and is whole: what cannot be removed is told, and no failure. */
async function commit(restore: PreparedRestore, name: string, io: RunIo): Promise<void> {
  try {
    await restore.commit();
  } catch (error) {
    io.log('warn', toAppError(error, `remove what the restore of ${name} replaced`).message);
  }
}

/** The state that alarm 12035 is about. */
export function unknownState(name: string, failure: AppError, second: AppError): AppError {
  // What kept it from going back is what a person must repair first.
  const hint = second.hint === ERROR_CODES.UNKNOWN_STATE.hint ? second.hint : `${second.hint} ${ERROR_CODES.UNKNOWN_STATE.hint}`;
  return new AppError('UNKNOWN_STATE', `restore ${name}: ${failure.message}; and then ${second.message}`, {
    cause: second,
    hint,
  });
}

/** Unpacked and verified, from the first vault that has it sound. */
async function fetchArchive(work: RestoreWork, manifest: Manifest, io: RunIo): Promise<string> {
  const into = join(io.workDirectory, 'unpacked');
  return fromAnyVault(work, io, async (vault) => {
    await rm(into, { recursive: true, force: true });
    await mkdir(into, { mode: 0o700 });
    await unpackArchive(await vault.get(manifest.archive.key, io.signal), {
      into,
      expected: manifest.archive,
      onProgress: (bytes) => io.progress('fetch', bytes, manifest.archive.size),
      signal: io.signal,
    });
    return into;
  });
}

/** A vault that is down or holds a damaged copy is no reason to give up while another is left. The first reason gives the code. */
async function fromAnyVault<T>(
  of: ReadableFile,
  io: RunIo,
  read: (vault: Awaited<ReturnType<RunIo['openVault']>>) => Promise<T>,
): Promise<T> {
  const failures: AppError[] = [];
  for (const access of of.vaults) {
    try {
      await using vault = await io.openVault(access);
      return await read(vault);
    } catch (error) {
      io.signal.throwIfAborted();
      const failure = toAppError(error, `read ${of.file.archive.key} from the vault of ${access.node}`);
      io.log('warn', `${access.node}: ${failure.message}`);
      failures.push(failure);
    }
  }
  const [first, ...others] = failures;
  if (first === undefined) throw new AppError('NOT_FOUND', `no vault holds ${of.file.archive.key}`);
  if (others.length === 0) throw first;
  const message = failures.map((failure) => failure.message).join('; and ');
  throw new AppError(first.code, message, { cause: first, hint: first.hint });
}

function restoreRequest(manifest: Manifest, options: RestoreOptions): RestoreRequest {
  return { facts: manifest.facts, contentBytes: manifest.contentBytes, ...options };
}

async function subdirectory(io: RunIo, name: string): Promise<string> {
  const path = join(io.workDirectory, name);
  await mkdir(path, { mode: 0o700 });
  return path;
}
