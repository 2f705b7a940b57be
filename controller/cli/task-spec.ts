/** A task's definition from the options of the command line, and in words again. */
import type { Command } from 'commander';
import { WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy } from '#common/gen/holdfast/v1/types.ts';
import type { Source } from '#common/gen/holdfast/v1/types.ts';
import { AppError } from '#common/errors.ts';
import { SOURCE_NAMES, isSourceName } from '#common/names.ts';
import type { SourceName } from '#common/names.ts';
import { assertNever } from '#common/assert-never.ts';
import { collect } from './options.ts';
import { word } from './output.ts';
import { readKeeping } from './task-keeping.ts';
import type { KeepingOptions } from './task-keeping.ts';
import { LATE_CHOICES, readMode, readWhenLate } from './task-mode.ts';
import type { ModeOptions } from './task-mode.ts';

export interface TaskOptions extends ModeOptions, KeepingOptions {
  readonly source?: readonly string[];
  readonly policy?: string;
  readonly database?: readonly string[];
  readonly nameService?: string;
  readonly target?: string;
  readonly whenLate?: string;
}

const POLICIES: Readonly<Record<string, BackupPolicy>> = {
  full: BackupPolicy.BACKUP_POLICY_FULL,
  'full-then-incremental': BackupPolicy.BACKUP_POLICY_FULL_THEN_INCREMENTAL,
  'full-every-n': BackupPolicy.BACKUP_POLICY_FULL_EVERY_N,
};

export const POLICY_CHOICES = Object.keys(POLICIES);
export const TARGETS = ['LocalDir'];

export function addTaskOptions(command: Command): Command {
  return command
    .option('--source <source>', `${SOURCE_NAMES.join(', ')}; repeat for each`, collect)
    .option('--policy <policy>', `${POLICY_CHOICES.join(', ')}; these sources take full only`)
    .option('--database <database>', 'of DBService: only these databases; repeat for each', collect)
    .option('--name-service <service>', 'of NameNode: its NameService; another one than the agent has is refused')
    .option('--target <target>', `where backups go: ${TARGETS.join(', ')}`)
    .option('--every <duration>', 'run by a period: 30m, 24h, 7d; more than 120s')
    .option(
      '--start <time>',
      'the first start of a period, as 2026-12-01T02:00:00Z; one period from now by default, and kept by `task modify`, where a shorter --every brings it closer by whole periods',
    )
    .option('--cron <expression>', `run by a calendar: minute, hour, day, month, day of week, as '30 2 * * 1-5'; with --zone`)
    .option('--zone <zone>', 'whose clocks the calendar means, as Europe/Berlin or UTC')
    .option('--manual', 'run only when told')
    .option(
      '--when-late <late>',
      `a start that was missed by more than 120s: ${LATE_CHOICES.join(' (wait for the next one; the default), ')} (make up for it)`,
    )
    .option('--copies <n>', 'keep the newest so many backup file sets')
    .option('--keep-for <duration>', 'keep also every set younger than this, as 30d; none: not by age')
    .option('--daily <n>', 'keep also the newest set of each of the last so many days that have one')
    .option('--weekly <n>', 'the same for weeks (Monday to Sunday)')
    .option('--monthly <n>', 'the same for months')
    .option(
      '--wanted-age <duration>',
      'raise an alarm when the newest good set is older, as 26h; none: two periods, or twice the longest gap of a calendar',
    );
}

/** `base` is what is there already; options change parts of it. @throws AppError INVALID */
export function applyOptions(base: TaskSpec, options: TaskOptions, nowMs: number): TaskSpec {
  if (options.target !== undefined && !TARGETS.includes(options.target)) {
    throw new AppError('INVALID', `the target ${JSON.stringify(options.target)} is not known`, {
      hint: `Targets: ${TARGETS.join(', ')}.`,
    });
  }
  return {
    ...base,
    sources: readSources(base.sources, options),
    ...readKeeping(base, options),
    mode: readMode(base.mode, options, BigInt(nowMs)),
    whenLate: options.whenLate === undefined ? base.whenLate : readWhenLate(options.whenLate),
  };
}

/** Of a task that is made with no more than its sources: two copies, as of the system task `default`. */
export function emptySpec(name: string): TaskSpec {
  return {
    name,
    sources: [],
    target: { pathType: { $case: 'localDir', value: {} } },
    copies: 2,
    mode: { $case: 'manual', value: {} },
    whenLate: WhenLate.WHEN_LATE_UNSPECIFIED,
    retention: undefined,
    wantedAgeSeconds: 0n,
  };
}

function readSources(base: readonly Source[], options: TaskOptions): Source[] {
  const names = options.source?.map(readSourceName) ?? base.map(sourceName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new AppError('INVALID', `the source ${twice} is named twice`, { hint: 'Name each source once.' });
  const requireSource = (option: string, name: SourceName) => {
    if (names.includes(name)) return;
    throw new AppError('INVALID', `${option} is of the source ${name}, which this task does not have`, {
      hint: `Add --source ${name}, or leave ${option} away.`,
    });
  };
  if (options.database !== undefined) requireSource('--database', 'DBService');
  if (options.nameService !== undefined) requireSource('--name-service', 'NameNode');
  return names.map((name) => {
    const before = base.find((source) => sourceName(source) === name);
    const policy = options.policy === undefined ? before?.policy : readPolicy(options.policy);
    return { policy: policy ?? BackupPolicy.BACKUP_POLICY_FULL, kind: sourceKind(name, before, options) };
  });
}

function sourceKind(name: SourceName, before: Source | undefined, options: TaskOptions): NonNullable<Source['kind']> {
  const kind = before?.kind;
  switch (name) {
    case 'OMS':
      return { $case: 'oms', value: {} };
    case 'LdapServer':
      return { $case: 'ldapServer', value: {} };
    case 'DBService': {
      const databases = kind?.$case === 'dbService' ? kind.value.databases : [];
      return { $case: 'dbService', value: { databases: [...(options.database ?? databases)] } };
    }
    case 'NameNode': {
      const nameService = kind?.$case === 'nameNode' ? kind.value.nameService : '';
      return { $case: 'nameNode', value: { nameService: options.nameService ?? nameService } };
    }
    default:
      return assertNever(name);
  }
}

export function sourceName(source: Source): SourceName {
  switch (source.kind?.$case) {
    case 'oms':
      return 'OMS';
    case 'ldapServer':
      return 'LdapServer';
    case 'dbService':
      return 'DBService';
    case 'nameNode':
      return 'NameNode';
    case undefined:
      throw new AppError('INVALID', 'the controller sent a source that this version does not know', {
        hint: 'Use the command line of the same version as the controller.',
      });
    default:
      return assertNever(source.kind);
  }
}

export function readSourceName(text: string): SourceName {
  const found = SOURCE_NAMES.find((name) => name.toLowerCase() === text.toLowerCase());
  if (found !== undefined && isSourceName(found)) return found;
  throw new AppError('INVALID', `the source ${JSON.stringify(text)} is not known`, {
    hint: `Sources: ${SOURCE_NAMES.join(', ')}.`,
  });
}

function readPolicy(text: string): BackupPolicy {
  const policy = POLICIES[text];
  if (policy !== undefined) return policy;
  throw new AppError('INVALID', `the policy ${JSON.stringify(text)} is not known`, {
    hint: `Policies: ${POLICY_CHOICES.join(', ')}.`,
  });
}

/** "DBService (hivemeta)": with what it is narrowed to. */
export function describeSource(source: Source): string {
  const { kind } = source;
  const narrowed =
    kind?.$case === 'dbService' ? kind.value.databases.join(', ') : kind?.$case === 'nameNode' ? kind.value.nameService : '';
  return narrowed === '' ? sourceName(source) : `${sourceName(source)} (${narrowed})`;
}

/** For --json. */
export function sourceView(source: Source) {
  const kind = source.kind;
  return {
    source: sourceName(source),
    policy: word(BackupPolicy, source.policy, 'BACKUP_POLICY_'),
    ...(kind?.$case === 'dbService' ? { databases: kind.value.databases } : {}),
    ...(kind?.$case === 'nameNode' ? { nameService: kind.value.nameService } : {}),
  };
}
