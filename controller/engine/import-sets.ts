/** The catalogue from the vaults: what their manifests say is added; nothing that is known is changed, but for where copies lie. */
import { AppError, toAppError } from '#common/errors.ts';
import type { HeldManifest } from '#common/gen/holdfast/v1/agent.ts';
import { decodeManifest } from '#common/manifest.ts';
import type { Manifest, StoredName } from '#common/manifest.ts';
import type { BackupSet, HeldFile, Run } from '../model.ts';
import { vaultAccess } from './assign.ts';
import type { Change, EngineIo } from './engine-io.ts';
import { managementNodes, newId, note } from './engine-io.ts';
import { prefixOf } from './grants.ts';

export interface Found {
  readonly manifests: readonly { readonly node: string; readonly file: StoredName; readonly manifest: Manifest }[];
  readonly faults: readonly string[];
}

/** Reads every manifest of every vault; the active management node's first. @throws AppError UNAVAILABLE when no vault is connected. */
export async function takeInventory(io: EngineIo): Promise<Found> {
  const connected = managementNodes(io.config).filter((node) => io.sessions.factsOf(node)?.connected === true);
  if (connected.length === 0) {
    throw new AppError('UNAVAILABLE', 'the vaults cannot be read: no agent of a management node is connected');
  }
  const manifests: Found['manifests'][number][] = [];
  const faults: string[] = [];
  for (const node of connected) {
    for (const held of await inventoryOf(io, node)) {
      try {
        manifests.push({ node, ...readHeld(held) });
      } catch (error) {
        faults.push(`${node}: ${toAppError(error, `read ${held.file?.key ?? 'a manifest'}`).message}`);
      }
    }
  }
  return { manifests, faults };
}

/** Writes what was found and is not known. Oldest first, so that lists stand in order. */
export async function importFound(
  change: Change,
  io: EngineIo,
  { manifests, faults }: Found,
): Promise<{ imported: number; known: number; faults: readonly string[] }> {
  const leaving = new Set<string>();
  for (const runId of new Set(manifests.map(({ manifest }) => manifest.run.id))) {
    for (const { prefix } of await change.leftoversOf(runId)) leaving.add(prefix);
  }
  const open = new Set((await change.openRuns()).map(({ setId }) => setId));
  // What an attempt that was given up left is cleared, not kept; what a run is writing now is its own to tell.
  const good = manifests.filter(({ file, manifest }) => !leaving.has(prefixOf(file.key)) && !open.has(manifest.set.id));
  const told = [...faults];
  let [imported, known] = [0, 0];
  const found = [...Map.groupBy(good, ({ manifest }) => manifest.set.id).values()];
  for (const group of found.toSorted((a, b) => startOf(a) - startOf(b))) {
    const set = setOf(group, told);
    const before = await change.set(set.id);
    if (before === undefined) {
      imported++;
      await change.putSet(set);
      if ((await change.run(set.runId)) === undefined)
        await recordRun(
          change,
          io,
          set,
          group.map(({ manifest }) => manifest),
        );
    } else {
      known++;
      if (before.deleting === undefined) await change.putSet({ ...before, files: mergeNodes(before.files, set.files) });
    }
  }
  return { imported, known, faults: told };
}

async function inventoryOf(io: EngineIo, node: string): Promise<HeldManifest[]> {
  const all: HeldManifest[] = [];
  for (let after = ''; ;) {
    const id = newId('c', io.clock.now());
    const [vault] = vaultAccess(io, node, { agent: node, run: id, attempt: 1, verbs: ['get', 'list'], prefixes: [''] });
    if (vault === undefined) throw new AppError('UNAVAILABLE', `the vault of ${node} is gone while it was read`);
    const work = { $case: 'inventory', value: { vault, after } } as const;
    const outcome = await io.errands.ask({ node, id, runId: id, attempt: 1, work });
    if (outcome.$case !== 'inventory')
      throw new AppError('FAILED', `the agent of ${node} took no inventory, but ${outcome.$case}`);
    all.push(...outcome.value.manifests);
    if (outcome.value.next === '' || outcome.value.next <= after) return all;
    after = outcome.value.next;
  }
}

function readHeld({ file, content, fault }: HeldManifest): { file: StoredName; manifest: Manifest } {
  if (fault !== '') throw new AppError('DAMAGED', fault);
  if (file === undefined) throw new AppError('INVALID', 'a manifest without a name');
  const { key, sizeBytes, sha256 } = file;
  return { file: { key, size: sizeBytes, sha256 }, manifest: decodeManifest(content, key) };
}

type Group = readonly Found['manifests'][number][];

function startOf(group: Group): number {
  return Math.min(...group.map(({ manifest }) => manifest.run.startedMs));
}

function setOf(group: Group, faults: string[]): BackupSet {
  const files: HeldFile[] = [];
  for (const { node, file: manifestFile, manifest } of group) {
    const { source, archive, index, entries, contentBytes } = manifest;
    const same = files.findIndex(({ file }) => file.manifest.key === manifestFile.key);
    const before = files[same];
    if (before === undefined) {
      files.push({ file: { source, manifest: manifestFile, archive, index, entries, contentBytes }, nodes: [node] });
    } else if (before.file.manifest.sha256 === manifestFile.sha256) {
      files[same] = { ...before, nodes: [...before.nodes, node] };
    } else {
      faults.push(`${node}: ${manifestFile.key} is not the same as on ${before.nodes.join(', ')}, whose is taken`);
    }
  }
  const { set, task, run, productVersion, topology } = group[0]!.manifest;
  const present = new Set(files.map(({ file }) => file.source));
  return {
    id: set.id,
    task: task.name,
    runId: run.id,
    createdMs: run.startedMs,
    // In the order of the task, as it was recorded: vaults list them by name.
    files: files.toSorted((a, b) => set.sources.indexOf(a.file.source) - set.sources.indexOf(b.file.source)),
    missingSources: set.sources.filter((source) => !present.has(source)),
    pinned: false,
    deleting: undefined,
    verifiedMs: undefined,
    productVersion,
    topology,
  };
}

function mergeNodes(known: readonly HeldFile[], found: readonly HeldFile[]): HeldFile[] {
  return known.map((held) => {
    const same = found.find(
      ({ file }) => file.manifest.key === held.file.manifest.key && file.manifest.sha256 === held.file.manifest.sha256,
    );
    // An inventory reads manifests only: it does not tell that a copy which was found damaged is good.
    const spoilt = new Set(held.damaged?.map(({ node }) => node));
    const more = same?.nodes.filter((node) => !spoilt.has(node)) ?? [];
    return { ...held, nodes: [...new Set([...held.nodes, ...more])] };
  });
}

/** The history that manifests tell: that it ran, when, and what came of it. */
async function recordRun(change: Change, io: EngineIo, set: BackupSet, manifests: readonly Manifest[]): Promise<void> {
  const failed = set.missingSources.length > 0;
  const message = `no manifest tells of ${set.missingSources.join(', ')}`;
  const run: Run = {
    id: set.runId,
    kind: 'backup',
    task: set.task,
    trigger: 'manual',
    state: failed ? 'failed' : 'successful',
    createdMs: set.createdMs,
    startedMs: set.createdMs,
    endedMs: set.createdMs,
    fault: failed ? { code: 'FAILED', message, hint: 'Its log is lost with the catalogue that had it.' } : undefined,
    setId: set.id,
    sources: set.files.map(({ file, nodes }) => ({
      source: file.source,
      node: manifests.find(({ source }) => source === file.source)?.node ?? '',
      state: 'successful',
      assignmentId: newId('a', io.clock.now()),
      attempt: 1,
      fault: undefined,
      file,
      storedOn: nodes,
      givenUp: false,
      startedMs: set.createdMs,
      endedMs: set.createdMs,
    })),
    stopReason: undefined,
    startedFrom: undefined,
    topology: set.topology,
    productVersion: set.productVersion,
  };
  await change.recordPast(run);
  await note(change, io, run.id, '', 'info', 'rebuilt from the manifests in the vaults: its end and its log are not known');
}
