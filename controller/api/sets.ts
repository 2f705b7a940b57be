import { AppError } from '#common/errors.ts';
import * as api from '#common/gen/holdfast/v1/admin.ts';
import { ALARMS } from '#rules/alarms.ts';
import { clear, raise } from '../alarms/alarms.ts';
import type { Change, EngineIo } from '../engine/engine-io.ts';
import { importFound, takeInventory } from '../engine/import-sets.ts';
import { planPrune, prune } from '../engine/retain.ts';
import type { SetVerdict } from '../engine/retain.ts';
import { markForDeletion } from '../engine/leftovers.ts';
import { verifySet, withVerification } from '../engine/verify-set.ts';
import type { BackupSet } from '../model.ts';
import type { Queries } from '../store/store.ts';
import { adminCall } from './answer.ts';
import { LARGEST_RECORDS_PAGE, pageRequest } from './from-proto.ts';
import { answeredBefore, mutate } from './mutate.ts';
import { setMessage } from './to-proto.ts';

type Names = 'getSet' | 'listSets' | 'verifySet' | 'deleteSet' | 'pinSet' | 'unpinSet' | 'pruneSets' | 'importSets';

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
      const verification = await verifySet(io, request.id);
      const { faults, readBytes } = verification;
      return mutate(io, peer, mutation, async (change) => {
        const now = await requireSet(change, request.id);
        const verified = withVerification(now, verification);
        await change.putSet(verified);
        // A vault with a good copy may mend the other one at once.
        change.after(() => io.hint());
        if (faults.length === 0) await clear(change, io, ALARMS.verificationFailed.id, now.id);
        else await raise(change, io, ALARMS.verificationFailed.id, now.id, faults.join('; '));
        return { set: setMessage(verified, config), faults, readBytes };
      });
    }),

    pinSet: adminCall(log, async (request: api.PinSetRequest, peer) => {
      const codecs = { requestCodec: api.PinSetRequest, responseCodec: api.PinSetResponse };
      return mutate(io, peer, { method: 'PinSet', request, subject: request.id, ...codecs }, async (change) => ({
        set: setMessage(await setPinned(change, request.id, true), config),
      }));
    }),

    unpinSet: adminCall(log, async (request: api.UnpinSetRequest, peer) => {
      const codecs = { requestCodec: api.UnpinSetRequest, responseCodec: api.UnpinSetResponse };
      return mutate(io, peer, { method: 'UnpinSet', request, subject: request.id, ...codecs }, async (change) => ({
        set: setMessage(await setPinned(change, request.id, false), config),
      }));
    }),

    pruneSets: adminCall(log, async (request: api.PruneSetsRequest, peer) => {
      if (request.task !== '' && (await store.task(request.task)) === undefined) {
        throw new AppError('NOT_FOUND', `there is no task named ${JSON.stringify(request.task)}`);
      }
      if (request.dryRun) return { verdicts: (await planPrune(store, io, request.task)).map(verdictMessage) };
      const codecs = { requestCodec: api.PruneSetsRequest, responseCodec: api.PruneSetsResponse };
      return mutate(io, peer, { method: 'PruneSets', request, subject: request.task, ...codecs }, async (change) => ({
        verdicts: (await prune(change, io, request.task)).map(verdictMessage),
      }));
    }),

    importSets: adminCall(log, async (request: api.ImportSetsRequest, peer) => {
      const codecs = { requestCodec: api.ImportSetsRequest, responseCodec: api.ImportSetsResponse };
      const mutation = { method: 'ImportSets', request, subject: 'vaults', ...codecs };
      const before = await answeredBefore(store, mutation);
      if (before !== undefined) return before;
      const found = await takeInventory(io);
      return mutate(io, peer, mutation, async (change) => {
        const { imported, known, faults } = await importFound(change, io, found);
        return { importedSets: imported, knownSets: known, faults: [...faults] };
      });
    }),

    /** The manifests go first; the set is gone when each vault has let go of it. */
    deleteSet: adminCall(log, async (request: api.DeleteSetRequest, peer) => {
      const codecs = { requestCodec: api.DeleteSetRequest, responseCodec: api.DeleteSetResponse };
      return mutate(io, peer, { method: 'DeleteSet', request, subject: request.id, ...codecs }, async (change) => {
        const set = await requireSet(change, request.id);
        // Marked anew, its grace period would begin again.
        if (set.deleting !== undefined) return { set: setMessage(set, config) };
        if (set.pinned) {
          throw new AppError('REFUSED', `the set ${set.id} is pinned`, { hint: `Unpin it first: holdfast set unpin ${set.id}` });
        }
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

/** @throws AppError REFUSED for a set that goes. */
async function setPinned(change: Change, id: string, pinned: boolean): Promise<BackupSet> {
  const set = await requireSet(change, id);
  if (set.deleting !== undefined) throw new AppError('REFUSED', `the set ${id} is being deleted`);
  await change.putSet({ ...set, pinned });
  return { ...set, pinned };
}

function verdictMessage({ set, stays, reasons }: SetVerdict): api.SetVerdict {
  return { setId: set.id, task: set.task, createdMs: BigInt(set.createdMs), stays, reasons: [...reasons] };
}

export async function requireSet(from: Queries, id: string): Promise<BackupSet> {
  const set = await from.set(id);
  if (set === undefined) throw new AppError('NOT_FOUND', `there is no backup file set ${JSON.stringify(id)}`);
  return set;
}
