/** What a verification found counts from then on: for retention, for mirroring, for alarms, and for whoever looks. */
import { describe, expect, test } from 'vitest';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import type { Assign, Finished, HeldManifest } from '#common/gen/holdfast/v1/agent.ts';
import type { BackupFile } from '#common/gen/holdfast/v1/types.ts';
import { encodeManifest } from '#common/manifest.ts';
import { clusterOfEach, deletions, told } from './cluster-of-each.ts';
import { runTask, taskSpec, until, untilEnded } from './cluster.ts';
import { failure, success } from './fake-agent.ts';

const { cluster, vault, node, task, backUp, sets, alarms } = clusterOfEach();

/** Vaults of which some find damage, and mirror when they are let. */
async function damagedVaults(...spoilt: readonly string[]) {
  const state = { spoilt: new Set(spoilt), mirrors: false, manifests: [] as HeldManifest[] };
  const onAssign = (name: string) => (assign: Assign) => {
    if (assign.work?.$case === 'verify' && state.spoilt.has(name)) return damageOf(assign);
    if (assign.work?.$case === 'inventory')
      return { $case: 'inventory' as const, value: { manifests: state.manifests, next: '' } };
    if (assign.work?.$case === 'mirror' && !state.mirrors) return failure('not yet');
    return success(assign);
  };
  const [mn1, mn2] = [await vault('mn1', { onAssign: onAssign('mn1') }), await vault('mn2', { onAssign: onAssign('mn2') })];
  await node();
  return { state, mn1, mn2 };
}

function damageOf({ work }: Assign): Finished['outcome'] {
  const files = work?.$case === 'verify' ? work.value.files : [];
  const damage = files.map(({ manifest }) => ({ manifestKey: manifest?.key ?? '', fault: 'its hash differs' }));
  return { $case: 'verify', value: { faults: damage.map(({ fault }) => fault), readBytes: 5n, damage } };
}

/** What the inventory of a vault says of a file, which has the manifest and sizes that it should. */
function manifestOf(setId: string, { manifest, archive, index }: BackupFile): HeldManifest {
  const stored = (file: typeof archive) => ({ key: file?.key ?? '', size: file?.sizeBytes ?? 0n, sha256: file?.sha256 ?? '' });
  const content = encodeManifest({
    format: 'holdfast-manifest/1',
    productVersion: '0.1.0',
    task: { name: 'nightly', createdMs: 1 },
    run: { id: 'r1', attempt: 1, startedMs: 2 },
    set: { id: setId, sources: ['OMS'] },
    source: 'OMS',
    node: 'dn1',
    topology: [],
    archive: stored(archive),
    index: stored(index),
    entries: 3,
    contentBytes: 4000n,
    facts: {},
  });
  return { file: manifest, content, fault: '' };
}

const verify = (id: string) => cluster().admin().verifySet({ requestId: '', id });
const show = async (id: string) => (await cluster().admin().getSet({ id })).set;
const up = async () => new Set((await alarms()).map(({ id }) => id).filter((id) => id === 12011 || id === 12065));

describe('a copy that was found damaged', () => {
  test('is shown, counts for nothing, and is replaced from the other vault', async () => {
    const { state, mn1 } = await damagedVaults('mn1');
    await task('nightly');
    const { setId: id } = await backUp('nightly');
    await verify(id);
    expect(await show(id)).toMatchObject({
      state: SetState.SET_STATE_DEGRADED,
      nodes: ['mn2'],
      damaged: [{ source: 'OMS', node: 'mn1', fault: 'its hash differs' }],
    });
    await until(async () => expect(await up()).toEqual(new Set([12011, 12065])));
    state.mirrors = true;
    state.spoilt.clear();
    await until(() => expect(told(mn1, 'mirror').length).toBeGreaterThan(0));
    cluster().clock.advance(60_000);
    await until(async () => expect(await show(id)).toMatchObject({ nodes: ['mn1', 'mn2'], damaged: [] }));
    // The alarm goes when a verification has proved it.
    await until(async () => expect(await up()).toEqual(new Set([12065])));
    await verify(id);
    expect(await up()).toEqual(new Set());
  });

  test('in every vault makes its set no good one, and takes no set with it', async () => {
    const { state } = await damagedVaults('mn1', 'mn2');
    await task('nightly', { copies: 2 });
    const good = await backUp('nightly');
    const damaged = await backUp('nightly');
    await verify(damaged.setId);
    await cluster()
      .admin()
      .modifyTask({ requestId: '', spec: taskSpec('nightly', { copies: 1 }) });
    const { verdicts } = await cluster().admin().pruneSets({ requestId: '', task: 'nightly', dryRun: false });
    expect(verdicts.map(({ setId, stays, reasons }) => [setId, stays, reasons.join()])).toEqual([
      [damaged.setId, true, 'damaged in every vault, with 0 newer whole sets of the 1 that would replace it'],
      [good.setId, true, 'the newest good set,copy 1 of 1'],
    ]);
    expect(await show(damaged.setId)).toMatchObject({ state: SetState.SET_STATE_INCOMPLETE, nodes: [] });
    // Nobody holds it, and yet it is not verified: its copies are read again.
    expect((await verify(damaged.setId)).faults).toEqual(['mn1: its hash differs', 'mn2: its hash differs']);
    expect(await up()).toContain(12065);
    state.spoilt.clear();
    expect((await verify(damaged.setId)).set).toMatchObject({ nodes: ['mn1', 'mn2'], damaged: [] });
  });

  test('is offered to a restore last, and deleted with its set', async () => {
    const { mn1, mn2 } = await damagedVaults('mn1');
    await task('nightly');
    const { setId: id } = await backUp('nightly');
    await verify(id);
    const dn1 = await node();
    await cluster().admin().createRestore({ requestId: '', name: 'back', setId: id, sources: [], options: undefined });
    const { run } = await cluster().admin().startRestore({ requestId: '', name: 'back' });
    await untilEnded(cluster().admin(), run?.id ?? '');
    const [assign] = told(dn1, 'restore');
    const work = assign?.work?.$case === 'restore' ? assign.work.value : undefined;
    expect(work?.sourceFile?.vaults.map((access) => access.node)).toEqual(['mn2', 'mn1']);

    await until(() => cluster().admin().deleteSet({ requestId: '', id }));
    await until(async () => expect(await sets()).toEqual([]));
    for (const mn of [mn1, mn2]) expect(deletions(mn).map(({ manifestsOnly }) => manifestsOnly)).toEqual([true, false]);
  });

  test('is not good again because an import finds its manifest', async () => {
    const { state } = await damagedVaults('mn1');
    await task('nightly');
    const { setId: id } = await backUp('nightly');
    await verify(id);
    state.manifests = ((await show(id))?.files ?? []).map((file) => manifestOf(id, file));
    expect(await cluster().admin().importSets({ requestId: '' })).toEqual({ importedSets: 0, knownSets: 1, faults: [] });
    expect(await show(id)).toMatchObject({ nodes: ['mn2'], damaged: [{ node: 'mn1' }] });
  });

  test('is not told of by an agent of an earlier version, nor by a verification that failed', async () => {
    let answer: Finished['outcome'] = { $case: 'verify', value: { faults: ['spoilt'], readBytes: 5n, damage: [] } };
    await vault('mn1', { onAssign: (assign) => (assign.work?.$case === 'verify' ? answer : success(assign)) });
    await vault('mn2');
    await node();
    await task('nightly');
    const { setId: id } = await untilEnded(cluster().admin(), await runTask(cluster().admin(), 'nightly'));
    expect((await verify(id)).faults).toEqual(['mn1: spoilt']);
    expect(await show(id)).toMatchObject({ nodes: ['mn1', 'mn2'], damaged: [] });
    answer = failure('the disk cannot be read');
    await expect(verify(id)).rejects.toMatchObject({ details: expect.stringContaining('cannot be read') as string });
    expect(await show(id)).toMatchObject({ nodes: ['mn1', 'mn2'], damaged: [] });
  });
});
