/** The controller's configuration file, checked whole before anything starts. Paths in it may be relative to the file. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseSize } from '#common/bytes.ts';
import { readConfig } from '#common/config-file.ts';
import { SOURCE_NAMES } from '#common/names.ts';
import { alarmsConfigSchema, atFiles } from './alarms/delivery/config.ts';
import { duration } from './duration.ts';

const size = z.string().transform((text, context) => {
  try {
    return parseSize(text);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : String(error));
    return z.NEVER;
  }
});

const nodeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/, 'must be a host name of letters, digits, "." and "-"');

/** Rule: an automatic run needs more than 120 s since the one before, so a shorter period could never be kept. */
const SHORTEST_PERIOD_MS = 120_000;

export const controllerConfigSchema = z.strictObject({
  listen: z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65535) }),
  tls: z.strictObject({ ca: z.string().min(1), cert: z.string().min(1), key: z.string().min(1) }),
  /** The catalogue lies here; mode 700. */
  stateDirectory: z.string().min(1),
  /** The private Ed25519 key that grants are signed with; mode 600. */
  grantSigningKey: z.string().min(1),
  managementNodes: z
    .strictObject({ active: nodeName, standby: nodeName.optional() })
    .refine(({ active, standby }) => active !== standby, { error: 'active and standby must be two nodes', path: ['standby'] }),
  /** The system task `default`, made at the first start. */
  defaultTask: z
    .strictObject({
      enabled: z.boolean().default(true),
      period: duration.refine((ms) => ms > SHORTEST_PERIOD_MS, 'must be more than 120 s').default(24 * 3_600_000),
      copies: z.int().min(1).max(1000).default(2),
      sources: z
        .array(z.enum(SOURCE_NAMES))
        .min(1)
        .default([...SOURCE_NAMES]),
    })
    .prefault({}),
  /** How often agents tell that they live. */
  heartbeat: duration.refine((ms) => ms >= 1000, 'must be 1 s or more').default(5000),
  /** How long an agent may be away before what it does counts as failed. */
  lease: duration.refine((ms) => ms >= 500, 'must be 500 ms or more').default(30_000),
  /** How often the engine looks whether something is due. */
  tick: duration.refine((ms) => ms >= 10, 'must be 10 ms or more').default(1000),
  /** How long an agent may take to plan a restore while a person waits. */
  planTimeout: duration.default(120_000),
  /** Rule: more than 20 GB free on the active vault before OMS, LdapServer, DBService or NameNode are backed up, as documented. */
  minimumFree: size.default(20n * 10n ** 9n),
  /** Where alarms are told of, beside `holdfast alarm list`. */
  alarms: alarmsConfigSchema,
});

export type ControllerConfig = z.infer<typeof controllerConfigSchema>;

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
  };
}
