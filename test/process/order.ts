/** What must hold when everything is up and at rest, whatever went wrong before: artefacts are looked at, not statuses. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import type { BackupFileSet, Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { DAEMONS, untilTrue } from './process-cluster.ts';
import type { ProcessCluster } from './process-cluster.ts';

const OPEN: readonly RunState[] = [RunState.RUN_STATE_WAITING, RunState.RUN_STATE_RUNNING];
const page = { pageSize: 1000, pageToken: '' };
export const VAULTS = ['mn1', 'mn2'] as const;

export interface Found {
  /** Newest first. */
  readonly runs: readonly Run[];
  readonly sets: readonly BackupFileSet[];
}

/** Waits until nothing is under way any more, and finds everything in order. */
export async function requireOrder(cluster: ProcessCluster): Promise<Found> {
  const found = await untilTrue(async () => {
    const { agents } = await cluster.admin().listAgents(page);
    expect(agents.filter(({ connected }) => connected)).toHaveLength(DAEMONS.length - 1);
    const { runs } = await cluster.admin().listRuns({ ...page, task: '' });
    expect(
      runs.filter(({ state }) => OPEN.includes(state)),
      'no run is running for ever',
    ).toEqual([]);
    const { sets } = await cluster.admin().listSets({ ...page, task: '' });
    expect(
      sets.map(({ state }) => state),
      'every set is whole on both nodes',
    ).toEqual(sets.map(() => SetState.SET_STATE_COMPLETE));
    const listed = filesOf(sets);
    for (const node of VAULTS) {
      expect(await visibleIn(cluster, node), `the vault of ${node} holds what is listed and nothing else`).toEqual(listed);
      expect(await incomingOf(cluster, node), `nothing half written is left in the vault of ${node}`).toEqual([]);
    }
    for (const node of [...VAULTS, 'dn1']) {
      expect(await filesBelow(join(cluster.stateOf(node), 'journal')), `the journal of ${node} is empty`).toEqual([]);
      expect(await readdir(join(cluster.stateOf(node), 'work')), `the spool of ${node} is empty`).toEqual([]);
    }
    return { runs, sets };
  }, 90_000);
  for (const { id } of found.sets) {
    const { faults } = await cluster.admin().verifySet({ requestId: '', id });
    expect(faults, 'every listed set is sound, byte for byte').toEqual([]);
  }
  expect(await toolsOf(cluster), 'no tool outlives its run').toEqual([]);
  return found;
}

/** Keys of the files that a reader of the vault would find. */
export async function visibleIn(cluster: ProcessCluster, node: string): Promise<string[]> {
  return (await filesBelow(cluster.vaultOf(node))).filter((name) => !name.startsWith('.holdfast/'));
}

/** What the vault is just taking in. */
export async function incomingOf(cluster: ProcessCluster, node: string): Promise<string[]> {
  return readdir(join(cluster.vaultOf(node), '.holdfast', 'incoming'));
}

function filesOf(sets: readonly BackupFileSet[]): string[] {
  return sets
    .flatMap(({ files }) => files.flatMap(({ manifest, archive, index }) => [manifest?.key, archive?.key, index?.key]))
    .map(String)
    .toSorted();
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .toSorted();
}

/** Tools that talk to the server of this cluster, or work in its directory. */
async function toolsOf(cluster: ProcessCluster): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    try {
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
      const ours = command.includes(cluster.directory) || environment.includes(`PGPORT=${cluster.server.port}`);
      if (ours && /\b(psql|pg_dump|pg_restore|getfattr|cp|xargs)\b/.test(command)) found.push(command);
    } catch {
      // It ended while it was looked at: that is what is hoped for.
    }
  }
  return found;
}
