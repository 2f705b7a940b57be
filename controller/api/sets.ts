import { AppError } from '#common/errors.ts';
import * as api from '#common/gen/holdfast/v1/admin.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import { markForDeletion } from '../engine/leftovers.ts';
import { verifySet } from '../engine/verify-set.ts';
import type { BackupSet } from '../model.ts';
import type { Queries } from '../store/store.ts';
import { adminCall } from './answer.ts';
import { LARGEST_RECORDS_PAGE, pageRequest } from './from-proto.ts';
import { answeredBefore, mutate } from './mutate.ts';
import { setMessage } from './to-proto.ts';

type Names = 'getSet' | 'listSets' | 'verifySet' | 'deleteSet';

export function setCalls(io: EngineIo): Pick<api.AdminServiceServer, Names> {
  const { log, store, config } = io;
  return {
    getSet: adminCall(log, async ({ id }: api.GetSetRequest) => ({ set: setMessage(await requireSet(store, id), config) })),

    listSets: adminCall(log, async (request: api.ListSetsRequest) => {
      const { items, next } = await store.listSets(request.task, pageRequest(request, LARGEST_RECORDS_PAGE));
      return { sets: items.map((set) => setMessage(set, config)), nextPageToken: next };
    }),

    verifySet: adminCall(log, async (request: api.VerifySetRequest, peer) => {
      const codecs = { requestCodec: api.VerifySetRequest, responseCodec: api.VerifySetResponse };
      const mutation = { method: 'VerifySet', request, subject: request.id, ...codecs };
      const before = await answeredBefore(store, mutation);
      if (before !== undefined) return before;
      const { faults, readBytes, verifiedMs } = await verifySet(io, request.id);
      return mutate(io, peer, mutation, async (change) => {
        const now = await requireSet(change, request.id);
        const verified = { ...now, verifiedMs: faults.length === 0 ? verifiedMs : undefined };
        await change.putSet(verified);
        return { set: setMessage(verified, config), faults, readBytes };
      });
    }),

    /** The manifests go first; the set is gone when each vault has let go of it. */
    deleteSet: adminCall(log, async (request: api.DeleteSetRequest, peer) => {
      const codecs = { requestCodec: api.DeleteSetRequest, responseCodec: api.DeleteSetResponse };
      return mutate(io, peer, { method: 'DeleteSet', request, subject: request.id, ...codecs }, async (change) => {
        const set = await requireSet(change, request.id);
        const reader = (await change.openRuns()).find(({ kind, setId }) => kind === 'restore' && setId === set.id);
        if (reader !== undefined || io.reading.has(set.id)) {
          throw new AppError(
            'REFUSED',
            `the set ${set.id} is being read${reader === undefined ? '' : ` by the restore ${reader.task}`}`,
            {
              hint: 'Wait until that has ended.',
            },
          );
        }
        return { set: setMessage(await markForDeletion(change, io, set), config) };
      });
    }),
  };
}

export async function requireSet(from: Queries, id: string): Promise<BackupSet> {
  const set = await from.set(id);
  if (set === undefined) throw new AppError('NOT_FOUND', `there is no backup file set ${JSON.stringify(id)}`);
  return set;
}
