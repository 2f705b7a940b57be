/** The agent's configuration file, checked whole before anything starts. Paths in it may be relative to the file. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { readConfig } from '#common/config-file.ts';
import { requireCatalogue } from './sources/catalogue/copy.ts';
import { sizeSchema as size } from './size-schema.ts';
import { sourcesSchema } from './sources/index.ts';

const vaultSchema = z.strictObject({
  /** Where LocalDir lives: `<data path>/LocalBackup`. */
  directory: z.string().min(1),
  listen: z.strictObject({ host: z.string().min(1), port: z.int().min(0).max(65535) }),
  /** As other agents reach it. */
  url: z.url({ protocol: /^https$/ }).optional(),
  /** The controller's public key that grants are signed with. */
  grantKey: z.string().min(1),
  /** Backup files on a local disk: at most 600 GB in all, as documented. */
  capBytes: size.default(600n * 10n ** 9n),
  /** The partition must keep more than 20 GB free, as documented; writing stops there. */
  minimumFree: size.default(20n * 10n ** 9n),
});

const address = z.string().regex(/^[^\s:]+:\d+$/, 'must be host:port');

/** One, or each of two of which one leads. */
const controllerSchema = z
  .strictObject({ address: address.optional(), addresses: z.array(address).min(1).optional() })
  .transform(({ address: one, addresses = [] }) => ({ addresses: one === undefined ? addresses : [one, ...addresses] }))
  .refine(({ addresses }) => addresses.length > 0, 'needs an address, or addresses');

export const agentConfigSchema = z.strictObject({
  /** This node's name: that of its certificate. */
  node: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/, 'must be a host name of letters, digits, "." and "-"'),
  controller: controllerSchema,
  tls: z.strictObject({ ca: z.string().min(1), cert: z.string().min(1), key: z.string().min(1) }),
  /** Journal, spool; mode 700. */
  stateDirectory: z.string().min(1),
  /** How many backups or restores of sources run at once. */
  concurrency: z.int().min(1).max(16).default(2),
  /** zstd level of archives. */
  compressionLevel: z.int().min(1).max(19).default(1),
  /** HTTP/2 flow-control window of transfers: 8 MiB for a LAN, 32 MiB for long lines (throughput ≈ window ÷ round trip). HTTP/2 begins at 64 KiB and ends below 2 GiB. */
  transferWindow: size
    .refine((bytes) => bytes >= 2n ** 16n && bytes <= 2n ** 30n, 'must be from 64 KiB to 1 GiB')
    .default(8n * 2n ** 20n),
  vault: vaultSchema.optional(),
  sources: sourcesSchema,
});

export type AgentConfig = z.infer<typeof agentConfigSchema>;

/** @throws AppError INVALID with every fault and its line. */
export async function loadAgentConfig(path: string): Promise<AgentConfig> {
  const config = await readConfig(path, agentConfigSchema);
  const at = (file: string) => resolve(dirname(path), file);
  const { tls, vault } = config;
  const catalogue = config.sources.oms?.catalogue;
  if (catalogue !== undefined) await requireCatalogue(catalogue);
  return {
    ...config,
    stateDirectory: at(config.stateDirectory),
    tls: { ca: at(tls.ca), cert: at(tls.cert), key: at(tls.key) },
    ...(vault === undefined ? {} : { vault: { ...vault, directory: at(vault.directory), grantKey: at(vault.grantKey) } }),
  };
}
