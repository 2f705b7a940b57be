import { AppError } from '#common/errors.ts';
import * as api from '#common/gen/holdfast/v1/admin.ts';
import type { SourceName } from '#common/names.ts';
import { nameFaults } from '#rules/task.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { note } from '../engine/engine-io.ts';
import { judge, planRestore } from '../engine/plan-restore.ts';
import { requestRestore } from '../engine/request-run.ts';
import type { BackupSet, Restore } from '../model.ts';
import type { Queries } from '../store/store.ts';
import { adminCall } from './answer.ts';
import { invalid, pageByName, pageRequest, restoreOptions, sourceNames } from './from-proto.ts';
import { mutate } from './mutate.ts';
import { notFound } from './not-found.ts';
import { presentRun } from './present-run.ts';
import { requireSet } from './sets.ts';
import { restoreMessage } from './to-proto.ts';

type Names = 'planRestore' | 'createRestore' | 'startRestore' | 'getRestore' | 'listRestores';

export function restoreCalls(io: EngineIo): Pick<api.AdminServiceServer, Names> {
  const { log, store } = io;
  return {
    planRestore: adminCall(log, async (request: api.PlanRestoreRequest) => {
      const named = sourceNames(request.sources);
      const options = restoreOptions(request.options);
      const set = await requireSet(store, request.setId);
      return { plan: await planRestore(io, set, orAll(named, set), options) };
    }),

    createRestore: adminCall(log, async (request: api.CreateRestoreRequest, peer) => {
      const faults = nameFaults(request.name, 'restore');
      if (faults.length > 0) throw invalid('the restore was not accepted', faults);
      const named = sourceNames(request.sources);
      const options = restoreOptions(request.options);
      const codecs = { requestCodec: api.CreateRestoreRequest, responseCodec: api.CreateRestoreResponse };
      const detail = `of ${request.setId}${overrides(options)}`;
      return mutate(io, peer, { method: 'CreateRestore', request, subject: request.name, detail, ...codecs }, async (change) => {
        if ((await change.restore(request.name)) !== undefined) {
          throw new AppError('ALREADY_EXISTS', `a restore named ${request.name} exists already, and restores are never edited`);
        }
        const set = await requireSet(change, request.setId);
        const sources = orAll(named, set);
        const { refusals } = judge(io, set, sources, options);
        if (refusals.length > 0) throw refused(request.name, refusals);
        const restore: Restore = {
          name: request.name,
          setId: set.id,
          sources,
          options,
          createdMs: io.clock.now(),
          lastRunId: undefined,
        };
        await makeRoom(change, io.limits.tasksOfEachKind);
        await change.putRestore(restore);
        return { restore: restoreMessage(restore, undefined) };
      });
    }),

    startRestore: adminCall(log, async (request: api.StartRestoreRequest, peer) => {
      const codecs = { requestCodec: api.StartRestoreRequest, responseCodec: api.StartRestoreResponse };
      return mutate(io, peer, { method: 'StartRestore', request, subject: request.name, ...codecs }, async (change) => {
        const restore = await requireRestore(change, request.name);
        const set = await change.set(restore.setId);
        if (set === undefined) throw new AppError('NOT_FOUND', `the set ${restore.setId} of the restore ${restore.name} is gone`);
        const { refusals, warnings } = judge(io, set, restore.sources, restore.options);
        const run = await requestRestore(change, io, restore);
        if (refusals.length > 0) throw refused(restore.name, refusals);
        for (const warning of warnings) await note(change, io, run.id, '', 'warn', warning);
        return { run: await presentRun(change, io, run) };
      });
    }),

    getRestore: adminCall(log, async ({ name }: api.GetRestoreRequest) => ({
      restore: await present(store, await requireRestore(store, name)),
    })),

    listRestores: adminCall(log, async (request: api.ListRestoresRequest) => {
      const { items, next } = pageByName(await store.restores(), ({ name }) => name, pageRequest(request));
      return { restores: await Promise.all(items.map((restore) => present(store, restore))), nextPageToken: next };
    }),
  };
}

/**
 * Rule: at most 100 restores exist. They are never deleted by hand, so the oldest makes room: one that succeeded, else one that ended, and only
 * when each of them waits for its first start, the oldest of these.
 */
async function makeRoom(change: Change, most: number): Promise<void> {
  const restores = await change.restores();
  if (restores.length < most) return;
  const open = (await change.openRuns()).filter(({ kind }) => kind === 'restore').map(({ task }) => task);
  const oldestFirst = restores.filter(({ name }) => !open.includes(name)).toSorted((a, b) => a.createdMs - b.createdMs);
  const states = await Promise.all(oldestFirst.map(async ({ lastRunId }) => lastRunId && (await change.run(lastRunId))?.state));
  const first = (wanted: (state: string | undefined) => boolean) => oldestFirst[states.findIndex(wanted)];
  const goes = first((state) => state === 'successful') ?? first((state) => state !== undefined) ?? oldestFirst[0];
  if (goes === undefined) throw new AppError('LIMIT', `${most} restores wait or run already, and no more may exist`);
  await change.deleteRestore(goes.name);
}

function orAll(named: readonly SourceName[], set: BackupSet): readonly SourceName[] {
  return named.length > 0 ? named : set.files.map(({ file }) => file.source);
}

function refused(name: string, refusals: readonly string[]): AppError {
  return new AppError('REFUSED', `the restore ${name} cannot be done: ${refusals.join('; ')}`, { details: { refusals } });
}

/** Recorded with the audit: who overrode which rule. */
function overrides({ otherVersion, otherTopology }: { otherVersion: boolean; otherTopology: boolean }): string {
  return `${otherVersion ? ', although of another version' : ''}${otherTopology ? ', although of another topology' : ''}`;
}

async function requireRestore(from: Queries, name: string): Promise<Restore> {
  const restore = await from.restore(name);
  if (restore === undefined) throw notFound('restore', `there is no restore named ${JSON.stringify(name)}`);
  return restore;
}

async function present(from: Queries, restore: Restore): Promise<api.Restore> {
  return restoreMessage(restore, restore.lastRunId === undefined ? undefined : await from.run(restore.lastRunId));
}
