/**
 * What of a backup is restored to where. Without options everything goes back to its place. A restore under other names or
 * into a directory touches nothing that is there:
 * - `renameDatabases`: only the databases it names are restored (one named as itself goes to its own place). Configuration is
 *   left alone then, unless a directory is given.
 * - `directory`: configuration goes to `<directory>/configuration<path>`, and databases that are not renamed are written as
 *   dumps to `<directory>/database/<name>`, for pg_restore by hand.
 */
import type { RestoreRequest } from '../source.ts';
import type { DatabaseFacts, PostgresFacts } from './facts.ts';
import { configurationPath } from './layout.ts';
import { databaseNameFault } from './settings.ts';
import type { PostgresSourceSettings } from './settings.ts';

export interface DatabaseTarget {
  readonly kept: DatabaseFacts;
  readonly target: string;
  /** Takes the place of a database of that name; otherwise there must be none. */
  readonly inPlace: boolean;
}

export interface PlacementTarget {
  /** Below the unpacked archive. */
  readonly from: string;
  readonly to: string;
}

export interface Selection {
  readonly databases: readonly DatabaseTarget[];
  readonly placements: readonly PlacementTarget[];
  /** Whether something is put in its original place, so that what depends on it is stopped and started. */
  readonly inPlace: boolean;
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

export function selectRestore(
  prefix: string,
  facts: PostgresFacts,
  request: RestoreRequest,
  settings: PostgresSourceSettings,
): Selection {
  const { renameDatabases: renames, directory } = request;
  const refusals = [...directoryFaults(directory, facts), ...renameFaults(renames, facts, settings)];
  const warnings: string[] = [];
  const named = Object.keys(renames);
  const chosen = facts.databases.filter(({ name }) => named.length === 0 || named.includes(name));
  const targets = chosen.map((kept): DatabaseTarget => {
    const target = (Object.hasOwn(renames, kept.name) ? renames[kept.name] : undefined) ?? kept.name;
    return { kept, target, inPlace: target === kept.name };
  });

  const asDumps = directory === undefined ? [] : targets.filter(({ inPlace }) => inPlace);
  const databases = targets.filter((target) => !asDumps.includes(target));
  for (const { target } of databases.filter(({ inPlace }) => inPlace)) {
    if (!settings.databases.includes(target)) {
      refusals.push(`the database ${target} is not configured for this source on this node: add it, or give it another name`);
    }
  }
  const configuration = placeConfiguration(prefix, facts, directory, settings);
  const leaveAlone = directory === undefined && targets.some(({ inPlace }) => !inPlace);
  if (leaveAlone && facts.configuration.length > 0) {
    warnings.push('configuration files are not restored beside a renamed database; give a directory to have them');
  }
  if (!leaveAlone) refusals.push(...configuration.refusals);
  return {
    databases,
    placements: [
      ...(leaveAlone ? [] : configuration.placements),
      ...asDumps.map(({ kept }) => ({
        from: `${prefix}/database/${kept.directory}`,
        to: `${directory}/database/${kept.directory}`,
      })),
    ],
    inPlace: databases.some(({ inPlace }) => inPlace) || (directory === undefined && !leaveAlone),
    refusals,
    warnings,
  };
}

function placeConfiguration(
  prefix: string,
  facts: PostgresFacts,
  directory: string | undefined,
  settings: PostgresSourceSettings,
): { placements: PlacementTarget[]; refusals: string[] } {
  const placements = facts.configuration.map((path) => ({
    from: configurationPath(prefix, path),
    to: directory === undefined ? path : `${directory}/configuration${path}`,
  }));
  // The node's own configuration says where this agent may write, not the backup.
  const foreign = directory === undefined ? facts.configuration.filter((path) => !settings.configuration.includes(path)) : [];
  return {
    placements,
    refusals: foreign.map(
      (path) => `the path ${path} is not configured for this source on this node: add it, or restore into a directory`,
    ),
  };
}

function renameFaults(
  renames: Readonly<Record<string, string>>,
  facts: PostgresFacts,
  settings: PostgresSourceSettings,
): string[] {
  const faults: string[] = [];
  const targets = new Set<string>();
  for (const [name, target] of Object.entries(renames)) {
    if (!facts.databases.some((kept) => kept.name === name)) faults.push(`this backup holds no database ${JSON.stringify(name)}`);
    const fault = databaseNameFault(target);
    if (fault !== undefined) faults.push(`the database name ${JSON.stringify(target)} ${fault}`);
    if (target === settings.connection.maintenanceDatabase) {
      faults.push(`the database ${target} is the one that restores are steered from`);
    }
    if (targets.has(target)) faults.push(`two databases would get the name ${target}`);
    targets.add(target);
  }
  return faults;
}

function directoryFaults(directory: string | undefined, facts: PostgresFacts): string[] {
  if (directory === undefined) return [];
  if (!directory.startsWith('/') || directory.split('/').includes('..') || directory.includes('\0')) {
    return [`the directory ${JSON.stringify(directory)} is not an absolute path`];
  }
  const inside = (path: string, parent: string) => `${path}/`.startsWith(`${parent.replace(/\/+$/, '')}/`);
  const clash = facts.configuration.find((path) => inside(directory, path) || inside(path, directory));
  return clash === undefined ? [] : [`the directory ${directory} holds, or lies in, the original path ${clash}`];
}
