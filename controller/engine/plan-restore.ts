/** What a restore would do: the rules that the controller can judge, and what the agent of each source says of its own. */
import { toAppError } from '#common/errors.ts';
import type { RestorePlan } from '#common/gen/holdfast/v1/admin.ts';
import type { SourceRestorePlan } from '#common/gen/holdfast/v1/agent.ts';
import type { SourceName } from '#common/names.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { placeOf } from '#rules/placement.ts';
import { RESTORE_ORDER } from '#rules/outcome.ts';
import { judgeRestore } from '#rules/restore.ts';
import type { BackupSet, RestoreOptions } from '../model.ts';
import { readable } from './assign.ts';
import type { EngineIo } from './engine-io.ts';
import { newId, topologyOf } from './engine-io.ts';
import { restoreOptionsMessage } from './messages.ts';

export function judge(io: EngineIo, set: BackupSet, sources: readonly SourceName[], options: RestoreOptions) {
  return judgeRestore({
    set: {
      id: set.id,
      deleting: set.deleting !== undefined,
      productVersion: set.productVersion,
      topology: set.topology,
      sources: set.files.map(({ file }) => file.source),
    },
    sources,
    options,
    productVersion: PRODUCT_VERSION,
    topology: topologyOf(io.sessions),
  });
}

export async function planRestore(
  io: EngineIo,
  set: BackupSet,
  sources: readonly SourceName[],
  options: RestoreOptions,
): Promise<RestorePlan> {
  const { refusals, warnings } = judge(io, set, sources, options);
  const held = RESTORE_ORDER.filter(
    (source) => sources.some((each) => each === source) && set.files.some(({ file }) => file.source === source),
  );
  const plans = await Promise.all(held.map((source) => planOf(io, set, source, options)));
  return { setId: set.id, sources: plans, refusals: [...refusals], warnings: [...warnings] };
}

/** A source that cannot be planned cannot be restored: the reason is its refusal. */
async function planOf(io: EngineIo, set: BackupSet, source: string, options: RestoreOptions): Promise<SourceRestorePlan> {
  const node = placeOf(source, io.sessions.facts());
  const refused = (why: string): SourceRestorePlan => ({
    source,
    node: node ?? '',
    steps: [],
    overwrites: [],
    mustBeStopped: [],
    refusals: [why],
    warnings: [],
    neededBytes: 0n,
    freeBytes: 0n,
  });
  if (node === undefined) return refused(`no connected agent offers ${source}`);
  const id = newId('c', io.clock.now());
  using _reading = io.reading.hold(set.id);
  try {
    const value = {
      sourceFile: readable(io, set, source, { agent: node, run: id, attempt: 1 }),
      options: restoreOptionsMessage(options),
    };
    const work = { $case: 'planRestore', value } as const;
    const outcome = await io.errands.ask({ node, id, runId: id, attempt: 1, work, timeoutMs: io.config.planTimeout });
    if (outcome.$case !== 'planRestore' || outcome.value.plan === undefined) return refused(`the agent of ${node} made no plan`);
    return { ...outcome.value.plan, source, node };
  } catch (error) {
    return refused(toAppError(error, `plan the restore of ${source}`).message);
  }
}
