/**
 * The manifest of a backup file. A backup file exists from the moment its manifest is durable, and a manifest names only
 * durable files; deletion removes the manifest first. It holds no secret. The files of a run that share `set.id` are a set;
 * `set.sources` tells from any one of them whether the set is whole, so that sets are found on a target without the catalogue.
 */
import { z } from 'zod';
import { AppError } from './errors.ts';
import { SOURCE_NAMES, isKey } from './names.ts';

export const MANIFEST_FORMAT = 'holdfast-manifest/1';
/** A manifest holds names and digests only; a larger one is not ours. */
export const MANIFEST_MAX_BYTES = 1024 * 1024;

const size = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const stored = z.strictObject({ key: z.string().refine(isKey, 'not a key'), size, sha256 });

const schema = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  productVersion: z.string().min(1).max(100),
  task: z.strictObject({ name: z.string(), createdMs: z.int().nonnegative() }),
  run: z.strictObject({ id: z.string().min(1), attempt: z.int().positive(), startedMs: z.int().nonnegative() }),
  set: z.strictObject({ id: z.string().min(1), sources: z.array(z.enum(SOURCE_NAMES)).min(1) }),
  source: z.enum(SOURCE_NAMES),
  node: z.string().min(1),
  /** "node: service, service" a line, at the time of backup. */
  topology: z.array(z.string()),
  archive: stored,
  index: stored,
  entries: z.int().nonnegative(),
  /** Bytes before compression. */
  contentBytes: size,
  /** What the source wants to know at restore: names, versions, transaction ids. Never a secret. */
  facts: z.record(z.string(), z.string()),
});

export type Manifest = z.infer<typeof schema>;
export type StoredName = z.infer<typeof stored>;

/** Bytes as they stand on the target. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(
    `${JSON.stringify(manifest, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 2)}\n`,
  );
}

/** @throws AppError DAMAGED naming every fault: not JSON, a field missing, unknown or malformed. */
export function decodeManifest(bytes: Uint8Array, key: string): Manifest {
  const faults = (text: string) => new AppError('DAMAGED', `the manifest ${key} cannot be trusted: ${text}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw faults(error instanceof Error ? error.message : String(error));
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw faults(z.prettifyError(parsed.error));
  return parsed.data;
}
