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
import { formatPeriod, parseDuration, parseTime } from './duration.ts';
import { collect } from './options.ts';
import { word } from './output.ts';

export interface TaskOptions {
  readonly source?: readonly string[];
  readonly policy?: string;
  readonly database?: readonly string[];
  readonly nameService?: string;
  readonly target?: string;
  readonly copies?: string;
  readonly every?: string;
  readonly start?: string;
  readonly manual?: boolean;
}

const POLICIES: Readonly<Record<string, BackupPolicy>> = {
  full: BackupPolicy.BACKUP_POLICY_FULL,
  'full-then-incremental': BackupPolicy.BACKUP_POLICY_FULL_THEN_INCREMENTAL,
  'full-every-n': BackupPolicy.BACKUP_POLICY_FULL_EVERY_N,
};

export function addTaskOptions(command: Command): Command {
  return command
    .option('--source <name>', `${SOURCE_NAMES.join(', ')}; repeat for each`, collect)
    .option('--policy <policy>', `${Object.keys(POLICIES).join(', ')}; these sources take full only`)
    .option('--database <name>', 'of DBService: only these databases; repeat for each', collect)
    .option('--name-service <name>', 'of NameNode: its NameService; another one than the agent has is refused')
    .option('--target <type>', 'where backups go: LocalDir')
    .option('--copies <n>', 'how many backup file sets are kept')
    .option('--every <duration>', 'run periodically: 30m, 24h, 7d; more than 120s')
    .option(
      '--start <time>',
      'the first periodic start, as 2026-12-01T02:00:00Z; one period from now by default, and kept by `task modify`, where a shorter --every brings it closer by whole periods',
    )
    .option('--manual', 'run only when told');
}

/** `base` is what is there already; options change parts of it. @throws AppError INVALID */
export function applyOptions(base: TaskSpec, options: TaskOptions, nowMs: number): TaskSpec {
  if (options.target !== undefined && options.target !== 'LocalDir') {
    throw new AppError('INVALID', `the target ${JSON.stringify(options.target)} is not known`, { hint: 'Targets: LocalDir.' });
  }
  return {
    ...base,
    sources: readSources(base.sources, options),
    copies: options.copies === undefined ? base.copies : readCount(options.copies, '--copies'),
    mode: readMode(base.mode, options, BigInt(nowMs)),
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
  if (twice !== undefined) throw new AppError('INVALID', `the source ${twice} is named twice`);
  const requireSource = (option: string, name: SourceName) => {
    if (!names.includes(name)) throw new AppError('INVALID', `${option} is of the source ${name}, which this task does not have`);
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
    hint: `Policies: ${Object.keys(POLICIES).join(', ')}.`,
  });
}

/** A whole number; what it must be at least is a rule of the controller. */
function readCount(text: string, option: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new AppError('INVALID', `${option} ${JSON.stringify(text)} is not a whole number`);
}

function readMode(base: TaskSpec['mode'], options: TaskOptions, nowMs: bigint): TaskSpec['mode'] {
  const { manual, every, start } = options;
  if (manual === true) {
    if (every === undefined && start === undefined) return { $case: 'manual', value: {} };
    throw new AppError('INVALID', '--manual excludes --every and --start');
  }
  if (every === undefined && start === undefined) return base;
  const before = base?.$case === 'periodic' ? base.value : undefined;
  const periodSeconds = every === undefined ? before?.periodSeconds : parseDuration(every);
  if (periodSeconds === undefined) throw new AppError('INVALID', '--start needs a period: add --every');
  if (start !== undefined) return { $case: 'periodic', value: { periodSeconds, startMs: parseTime(start) } };
  const startMs = before === undefined ? 0n : closerStart(before, periodSeconds, nowMs);
  return { $case: 'periodic', value: { periodSeconds, startMs } };
}

/**
 * Every hour instead of every day means: within the hour, not from tomorrow on. The start moves closer by whole periods, so that it
 * stays one of the times; one further away than the period before was set for a later day, and stays.
 */
function closerStart(before: { startMs: bigint; periodSeconds: bigint }, periodSeconds: bigint, nowMs: bigint): bigint {
  const periodMs = periodSeconds * 1000n;
  const away = before.startMs - nowMs;
  if (away <= periodMs || away > before.periodSeconds * 1000n || periodMs <= 0n) return before.startMs;
  return before.startMs - ((away - 1n) / periodMs) * periodMs;
}

export function describeMode(mode: TaskSpec['mode']): string {
  return mode?.$case === 'periodic' ? `every ${formatPeriod(mode.value.periodSeconds)}` : 'manual';
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
