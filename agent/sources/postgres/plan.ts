/** What a restore would do, found by looking only. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatSize } from '#common/bytes.ts';
import { leftoversOf } from '../configuration/placement.ts';
import { statOrMissing } from '../configuration/tree.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { decodeFacts } from './facts.ts';
import type { PostgresFacts } from './facts.ts';
import { addNeed } from './findings.ts';
import type { Findings } from './findings.ts';
import { lookAtServer } from './plan-server.ts';
import { selectRestore } from './select.ts';
import type { Selection } from './select.ts';
import type { PostgresSourceSettings } from './settings.ts';

export async function planPostgresRestore(
  prefix: string,
  settings: PostgresSourceSettings,
  request: RestoreRequest,
  io: SourceIo,
): Promise<RestorePlan> {
  const facts = decodeFacts(request.facts);
  const selection = selectRestore(prefix, facts, request, settings);
  const found: Findings = {
    steps: [],
    overwrites: [],
    mustBeStopped: [],
    refusals: [...selection.refusals],
    warnings: [...selection.warnings],
    space: new Map(),
  };
  await addNeed(found, io.workDirectory, request.contentBytes);
  if (selection.databases.length > 0) await lookAtServer(facts, selection, settings, io, found);
  for (const { to } of selection.placements) await lookAtPath(to, found);
  await lookAtPlacementSpace(facts, selection, found);
  await lookAtDirectory(request.directory, found);
  addHooks(selection, settings, found);

  const { neededBytes, freeBytes } = judgeSpace(found);
  const { steps, overwrites, mustBeStopped, refusals, warnings } = found;
  return { steps, overwrites, mustBeStopped, refusals, warnings, neededBytes, freeBytes };
}

/** The figures of the file system that is tightest. */
function judgeSpace(found: Findings): Pick<RestorePlan, 'neededBytes' | 'freeBytes'> {
  const spaces = [...found.space.values()].toSorted((a, b) =>
    a.freeBytes - a.neededBytes < b.freeBytes - b.neededBytes ? -1 : 1,
  );
  for (const { at, neededBytes, freeBytes } of spaces.filter((space) => space.neededBytes > space.freeBytes)) {
    found.refusals.push(`${formatSize(neededBytes)} are needed where ${at} lies, and ${formatSize(freeBytes)} are free`);
  }
  return { neededBytes: spaces[0]?.neededBytes ?? 0n, freeBytes: spaces[0]?.freeBytes ?? 0n };
}

async function lookAtPath(path: string, found: Findings): Promise<void> {
  const stat = await statOrMissing(path);
  const parent = await nearestExisting(dirname(path));
  found.steps.push(stat === undefined ? `write ${path}` : `replace ${path}`);
  if (stat !== undefined) {
    found.overwrites.push(path);
    if (stat.dev !== (await statOrMissing(parent))?.dev) {
      found.refusals.push(`${path} is a mount point and cannot be switched: restore into a directory and copy from there`);
    }
  }
  for (const old of await leftoversOf(path)) {
    found.warnings.push(`an earlier restore left the replaced ${old}: remove it when it is not wanted`);
  }
}

async function lookAtDirectory(directory: string | undefined, found: Findings): Promise<void> {
  if (directory === undefined) return;
  const stat = await statOrMissing(directory);
  if (stat === undefined) return;
  if (!stat.isDirectory()) found.refusals.push(`${directory} is no directory`);
  else if ((await readdir(directory)).length > 0) found.refusals.push(`the directory ${directory} is not empty`);
}

function addHooks(selection: Selection, settings: PostgresSourceSettings, found: Findings): void {
  if (!selection.inPlace) return;
  const shown = (command: readonly string[]) => `run: ${command.join(' ')}`;
  found.steps.unshift(...settings.beforeRestore.map((command) => `before the switch, ${shown(command)}`));
  found.steps.push(...settings.afterRestore.map((command) => `after the switch, ${shown(command)}`));
}

/** A staged copy lies beside each place. How the bytes spread over several file systems is not known, so each must hold all. */
async function lookAtPlacementSpace(facts: PostgresFacts, selection: Selection, found: Findings): Promise<void> {
  const loaded = new Set(selection.databases.map(({ kept }) => kept.name));
  const asDumps = facts.databases.filter(({ name }) => !loaded.has(name)).reduce((sum, { bytes }) => sum + bytes, 0n);
  const parents = new Map<bigint | undefined, string>();
  for (const { to } of selection.placements) {
    const parent = await nearestExisting(dirname(to));
    parents.set((await statOrMissing(parent))?.dev, parent);
  }
  const dumps = selection.placements.some(({ from }) => from.includes('/database/')) ? asDumps : 0n;
  for (const parent of parents.values()) await addNeed(found, parent, facts.configurationBytes + dumps);
}

async function nearestExisting(path: string): Promise<string> {
  let at = path;
  while (at !== '/' && (await statOrMissing(at)) === undefined) at = dirname(at);
  return at;
}
