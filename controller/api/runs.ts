import { AppError } from '#common/errors.ts';
import * as api from '#common/gen/holdfast/v1/admin.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import { stopRun } from '../engine/stop-run.ts';
import type { Run } from '../model.ts';
import type { Queries } from '../store/store.ts';
import { adminCall, adminStream } from './answer.ts';
import { LARGEST_RECORDS_PAGE, pageRequest } from './from-proto.ts';
import { mutate } from './mutate.ts';
import { notFound } from './not-found.ts';
import { presentRun, presentRuns } from './present-run.ts';

type Names = 'getRun' | 'listRuns' | 'watchRun' | 'stopRun' | 'listRunLog';

export function runCalls(io: EngineIo): Pick<api.AdminServiceServer, Names> {
  const { log, store } = io;
  return {
    getRun: adminCall(log, async ({ id }: api.GetRunRequest) => ({
      run: await presentRun(store, io, await requireRun(store, id)),
    })),

    listRuns: adminCall(log, async (request: api.ListRunsRequest) => {
      const { items, next } = await store.listRuns(request.task, pageRequest(request, LARGEST_RECORDS_PAGE));
      return { runs: await presentRuns(store, io, items), nextPageToken: next };
    }),

    /** The first state at once, then each change, the end last. */
    watchRun: adminStream(
      log,
      async ({ id }: api.WatchRunRequest, send: (response: api.WatchRunResponse) => Promise<void>, signal) => {
        using watch = io.watchers.watch(id, signal);
        for (;;) {
          const run = await requireRun(store, id);
          await send({ run: await presentRun(store, io, run) });
          if (run.endedMs !== undefined) return;
          await watch.next();
        }
      },
    ),

    stopRun: adminCall(log, async (request: api.StopRunRequest, peer) => {
      const codecs = { requestCodec: api.StopRunRequest, responseCodec: api.StopRunResponse };
      return mutate(io, peer, { method: 'StopRun', request, subject: request.id, ...codecs }, async (change) => {
        const run = await requireRun(change, request.id);
        if (run.endedMs !== undefined) throw new AppError('REFUSED', `the run ${run.id} has ended already: ${run.state}`);
        await stopRun(change, io, run, `stopped by ${peer.name}`);
        return { run: await presentRun(change, io, await requireRun(change, request.id)) };
      });
    }),

    listRunLog: adminCall(log, async (request: api.ListRunLogRequest) => {
      await requireRun(store, request.id);
      const { items, next } = await store.listLog(request.id, pageRequest(request));
      const lines = items.map(({ timeMs, level, source, message }) => ({ timeMs: BigInt(timeMs), level, source, message }));
      return { lines, nextPageToken: next };
    }),
  };
}

async function requireRun(from: Queries, id: string): Promise<Run> {
  const run = await from.run(id);
  if (run === undefined) throw notFound('run', `there is no run ${JSON.stringify(id)}`);
  return run;
}
