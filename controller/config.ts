/** The controller's configuration file, checked whole before anything starts. Paths in it may be relative to the file. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { formatSize, parseSize } from '#common/bytes.ts';
import { readConfig } from '#common/config-file.ts';
import { SOURCE_NAMES } from '#common/names.ts';
import { DEFAULT_LIMITS } from '#rules/limits.ts';
import type { Limits } from '#rules/limits.ts';
import { alarmsConfigSchema, atFiles } from './alarms/delivery/config.ts';
import { catalogueAt, catalogueSchema } from './catalogue-config.ts';
import { duration, durationText } from './duration.ts';

const size = z.string().transform((text, context) => {
  try {
    return parseSize(text);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : String(error));
    return z.NEVER;
  }
});

/** How large a backup file of `default` may be; a larger one is kept, and alarm 12058 says so. */
const specification = (source: string, documented: string) =>
  size
    .prefault(documented)
    .describe(`A backup file of ${source} that is larger raises an alarm, and is kept. Documented: ${documented}.`);

const address = z.string().regex(/^[^\s:]+:\d+$/, 'must be host:port');

const nodeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/, 'must be a host name of letters, digits, "." and "-"');

/** What the checks of one against the other need to have been read. */
const beats = z.looseObject({ heartbeat: z.number(), lease: z.number() });
const looks = z.looseObject({ tick: z.number(), lease: z.number() });
const periods = z.looseObject({
  defaultTask: z.looseObject({ period: z.number() }),
  limits: z.looseObject({ shortestGap: z.number() }),
});

const count = z.int().min(1);

/** Every setting says what it means: `holdfast config show` and the file that `holdfast init` writes tell it from here. */
export const controllerConfigSchema = z
  .strictObject({
    listen: z.strictObject({
      host: z.string().min(1).describe('Address that the API and the agents are served on.'),
      port: z.int().min(0).max(65535).describe('Its port; 0: any that is free.'),
    }),
    address: address
      .optional()
      .describe('host:port under which agents, people and the other controller reach it; else where it listens.'),
    tls: z.strictObject({
      ca: z.string().min(1).describe('Certificate of the CA that signs all nodes and people.'),
      cert: z.string().min(1).describe("The controller's certificate."),
      key: z.string().min(1).describe('Its key; mode 600.'),
    }),
    stateDirectory: z.string().min(1).describe('Where the catalogue lies, unless it is on PostgreSQL; mode 700.'),
    catalogue: catalogueSchema,
    leaderLease: duration
      .refine((ms) => ms >= 500, 'must be 500 ms or more')
      .prefault('6s')
      .describe('The lead goes to another controller when its holder has not renewed it for so long; renewed at a third of it.'),
    grantSigningKey: z.string().min(1).describe('The Ed25519 key that grants for vaults are signed with; mode 600.'),
    managementNodes: z
      .strictObject({
        active: nodeName.describe('The management node whose vault must hold every backup.'),
        standby: nodeName.optional().describe('The one whose vault is kept in step.'),
      })
      .refine(({ active, standby }) => active !== standby, { error: 'active and standby must be two nodes', path: ['standby'] }),
    defaultTask: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Whether the system task `default` is made at the first start.'),
        period: duration.prefault('1d').describe('Its period. Documented: 24 h (some editions: 1 h).'),
        copies: z.int().min(1).max(1000).default(2).describe('How many sets of it are kept. Documented: 2.'),
        sources: z
          .array(z.enum(SOURCE_NAMES))
          .min(1)
          .default([...SOURCE_NAMES])
          .describe('What it backs up.'),
        specifications: z
          .strictObject({
            OMS: specification('OMS', '10 MB'),
            LdapServer: specification('LdapServer', '20 MB'),
            DBService: specification('DBService', '100 MB'),
            NameNode: specification('NameNode', '1.5 GB'),
          })
          .prefault({}),
      })
      .prefault({}),
    heartbeat: duration
      .refine((ms) => ms >= 1000, 'must be 1 s or more')
      .prefault('5s')
      .describe('How often agents tell that they live.'),
    lease: duration
      .refine((ms) => ms >= 500, 'must be 500 ms or more')
      .prefault('30s')
      .describe('How long an agent may be away before what it does counts as failed.'),
    stopTimeout: duration
      .prefault('5m')
      .describe('How long a run that was stopped may take to clean up before it counts as failed.'),
    tick: duration
      .refine((ms) => ms >= 10, 'must be 10 ms or more')
      .prefault('1s')
      .describe('How often the engine looks whether something is due.'),
    planTimeout: duration.prefault('2m').describe('How long an agent may take to plan a restore while a person waits.'),
    minimumFree: size
      .prefault(formatSize(DEFAULT_LIMITS.minimumFreeBytes))
      .describe(
        'More than this must be free in the LocalBackup partition of the active management node, or no backup starts. Documented: 20 GB.',
      ),
    limits: z
      .strictObject({
        concurrentRuns: count
          .default(DEFAULT_LIMITS.concurrentRuns)
          .describe('Runs at one time; those that share a data source never run together. Documented: 1.'),
        waitingRuns: count.default(DEFAULT_LIMITS.waitingRuns).describe('Runs that may wait. Documented: 199.'),
        tasksOfEachKind: count
          .default(DEFAULT_LIMITS.tasksOfEachKind)
          .describe('Tasks of each kind (backup, restore). Documented: 100.'),
        shortestGap: duration
          .prefault(durationText(DEFAULT_LIMITS.shortestGapMs))
          .describe("An automatic run needs more than this since the task's previous run. Documented: 120 s."),
        latestStart: duration
          .prefault(durationText(DEFAULT_LIMITS.latestStartMs))
          .describe(
            'An automatic run that is later moves to the next period, unless its task says otherwise. Documented: 120 s.',
          ),
        clockTolerance: duration
          .prefault(durationText(DEFAULT_LIMITS.clockToleranceMs))
          .describe('Clocks that differ by more are in doubt, and nothing is deleted meanwhile.'),
        clockSettles: duration
          .prefault(durationText(DEFAULT_LIMITS.clockSettlesMs))
          .describe('A clock that jumped is trusted after this where no vault on another machine could confirm it.'),
      })
      .prefault({}),
    alarms: alarmsConfigSchema.describe('Who is told of alarms; see docs/alarms.md.'),
    deletionGrace: duration.prefault('1h').describe('How long the bytes of a set stay after its manifests were deleted.'),
    watch: z
      .strictObject({
        every: duration.prefault('10s').describe('How often the alarms about how things stand are looked at.'),
        pausedFor: duration.prefault('7d').describe('A task locked for longer raises an alarm.'),
        spaceWithin: duration.prefault('7d').describe('A vault that will be full within this raises an alarm.'),
        sampleEvery: duration
          .prefault('1h')
          .describe('How often the space of the vaults is written down, to foresee when one is full. Kept for 30 days.'),
        certificateWithin: duration.prefault('30d').describe('A certificate that ends within this raises an alarm.'),
      })
      .prefault({}),
  })
  .refine(({ heartbeat, lease }) => lease >= 2 * heartbeat, {
    error: 'must be twice the heartbeat or more, or agents that live are given up',
    path: ['lease'],
    when: ({ value }) => beats.safeParse(value).success,
  })
  .refine(({ tick, lease }) => tick < lease / 4, {
    error: 'must be less than a quarter of the lease, or an agent that is gone is noticed late',
    path: ['tick'],
    when: ({ value }) => looks.safeParse(value).success,
  })
  .refine(({ defaultTask, limits }) => defaultTask.period > limits.shortestGap, {
    error: 'must be more than limits.shortestGap (120 s by default)',
    path: ['defaultTask', 'period'],
    // Also when something else is wrong: every fault is told at once.
    when: ({ value }) => periods.safeParse(value).success,
  });

export type ControllerConfig = z.infer<typeof controllerConfigSchema>;

export function limitsOf({ limits, minimumFree }: Pick<ControllerConfig, 'limits' | 'minimumFree'>): Limits {
  const { concurrentRuns, waitingRuns, tasksOfEachKind, shortestGap, latestStart, clockTolerance, clockSettles } = limits;
  return {
    concurrentRuns,
    waitingRuns,
    tasksOfEachKind,
    shortestGapMs: shortestGap,
    latestStartMs: latestStart,
    minimumFreeBytes: minimumFree,
    clockToleranceMs: clockTolerance,
    clockSettlesMs: clockSettles,
  };
}

/** @throws AppError INVALID with every fault and its line. */
export async function loadControllerConfig(path: string): Promise<ControllerConfig> {
  const config = await readConfig(path, controllerConfigSchema);
  const at = (file: string) => resolve(dirname(path), file);
  const { tls } = config;
  return {
    ...config,
    stateDirectory: at(config.stateDirectory),
    grantSigningKey: at(config.grantSigningKey),
    tls: { ca: at(tls.ca), cert: at(tls.cert), key: at(tls.key) },
    alarms: atFiles(config.alarms, at),
    catalogue: catalogueAt(config.catalogue, at),
  };
}
