/** What a restore would do, found by looking only. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { statOrMissing } from '../configuration/tree.ts';
import { addNeed, addNeedOfEach, noFindings, planOf } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { RestorePlan, RestoreRequest, SourceIo } from '../source.ts';
import { lookAtPlace } from '../switch-plan.ts';
import { decodeFacts } from './facts.ts';
import type { PostgresFacts } from './facts.ts';
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
  const found = noFindings();
  found.refusals.push(...selection.refusals);
  found.warnings.push(...selection.warnings);
  await addNeed(found, io.workDirectory, request.contentBytes);
  if (selection.databases.length > 0) await lookAtServer(facts, selection, settings, io, found);
  for (const { to } of selection.placements) {
    found.steps.push((await lookAtPlace(to, found)) === undefined ? `write ${to}` : `replace ${to}`);
  }
  await lookAtPlacementSpace(facts, selection, request, found);
  await lookAtDirectory(request.directory, found);
  addHooks(selection, settings, found);

  return planOf(found);
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

/** A staged copy lies beside each place. Of a dump nobody knows the size: its text may be larger than the database was. */
async function lookAtPlacementSpace(
  facts: PostgresFacts,
  { placements }: Selection,
  { contentBytes }: RestoreRequest,
  found: Findings,
): Promise<void> {
  const bytes = placements.some(({ from }) => from.includes('/database/')) ? contentBytes : facts.configurationBytes;
  const parents = placements.map(({ to }) => dirname(to));
  await addNeedOfEach(found, parents, bytes);
}
