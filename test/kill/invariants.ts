/** What must hold when everything is up again and at rest, whatever died before: artefacts are looked at, not statuses. */
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { ALARMS } from '#rules/alarms.ts';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import type { BackupFileSet, Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { NODES, answered, untilTrue } from './process-cluster.ts';
import type { ProcessCluster } from './process-cluster.ts';

const OPEN: readonly RunState[] = [RunState.RUN_STATE_WAITING, RunState.RUN_STATE_RUNNING];
const page = { pageSize: 1000, pageToken: '' };

export interface Found {
  readonly runs: readonly Run[];
  readonly sets: readonly BackupFileSet[];
}

/** Waits until nothing is under way any more, and finds everything in order. `asked`: how many runs were asked for in all. */
export async function requireOrder(cluster: ProcessCluster, asked: number): Promise<Found> {
  const found = await atRest(cluster);
  expect(found.runs, 'none runs twice, none is lost').toHaveLength(asked);
  for (const { id } of found.sets) {
    // One that must be killed during it answers nothing.
    const { faults } = await answered(() => cluster.admin().verifySet({ requestId: '', id }));
    expect(faults, 'every listed set is sound, byte for byte').toEqual([]);
  }
  expect(await toolsOf(cluster), 'no tool is left').toEqual([]);
  return atRest(cluster);
}

async function atRest(cluster: ProcessCluster): Promise<Found> {
  let found: Found = { runs: [], sets: [] };
  await untilTrue(async () => {
    const { agents } = await cluster.admin().listAgents(page);
    expect(agents.filter(({ connected }) => connected)).toHaveLength(NODES.length);
    const { runs } = await cluster.admin().listRuns({ ...page, task: '' });
    const open = runs.filter(({ state }) => OPEN.includes(state));
    expect(open, 'no run is running for ever').toEqual([]);
    const { sets } = await cluster.admin().listSets({ ...page, task: '' });
    const complete = sets.map(() => SetState.SET_STATE_COMPLETE);
    expect(
      sets.map(({ state }) => state),
      'every set is whole on both nodes',
    ).toEqual(complete);
    for (const node of ['mn1', 'mn2']) await requireVault(cluster.vaultOf(node), sets);
    for (const node of NODES) await requireEmptyState(cluster.stateOf(node));
    const { alarms } = await cluster.admin().listAlarms({ ...page, history: false });
    expect(
      alarms.map(({ id }) => id),
      'both vaults are in step, the state of all data is known',
    ).toEqual([ALARMS.noThirdParty.id]);
    found = { runs, sets };
  });
  return found;
}

async function requireVault(vault: string, sets: readonly BackupFileSet[]): Promise<void> {
  const files = sets.flatMap((set) => set.files.flatMap(({ manifest, archive, index }) => [manifest, archive, index]));
  const keys = files.map((file) => String(file?.key)).toSorted();
  const there = (await leavesBelow(vault)).filter((name) => !name.startsWith('.holdfast/'));
  expect(there, `${vault} holds what is listed, and nothing else`).toEqual(keys);
  expect(await readdir(join(vault, '.holdfast', 'incoming')), `nothing half written is in ${vault}`).toEqual([]);
}

/** Holds at any moment: a manifest names only files that are there. Looked at when a daemon has just died. */
export async function requireWholeManifests(cluster: ProcessCluster): Promise<void> {
  for (const node of ['mn1', 'mn2']) {
    const there = await leavesBelow(cluster.vaultOf(node));
    for (const manifest of there.filter((name) => name.endsWith('/manifest.json'))) {
      const beside = there.filter((name) => dirname(name) === dirname(manifest));
      expect(beside, `what ${manifest} on ${node} names is there`).toHaveLength(FILES_OF_A_BACKUP);
    }
  }
}

/** Archive, index, manifest. */
const FILES_OF_A_BACKUP = 3;

async function requireEmptyState(state: string): Promise<void> {
  expect(await readdir(join(state, 'journal')), `the journal in ${state} is empty`).toEqual([]);
  expect(await readdir(join(state, 'work')), `the spool in ${state} is empty`).toEqual([]);
}

/** Files, and directories that hold nothing. */
async function leavesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  const parents = new Set(entries.map((entry) => entry.parentPath.slice(root.length + 1)));
  return paths.filter((path) => !parents.has(path)).toSorted();
}

/** Tools that a daemon (any, when none is named) has started, and theirs: preload.ts marks them. */
export async function toolsOf(cluster: ProcessCluster, daemon = ''): Promise<string[]> {
  const found: string[] = [];
  const mark = `HOLDFAST_TOOL_OF=${join(cluster.directory, daemon)}`;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    try {
      if (!(await readFile(`/proc/${pid}/environ`, 'utf8')).includes(mark)) continue;
      found.push((await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' '));
    } catch {
      // It ended while it was looked at: that is what is hoped for.
    }
  }
  return found;
}
