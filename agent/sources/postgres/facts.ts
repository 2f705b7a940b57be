/** What a backup tells a later restore through the manifest. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';

const FORMAT = 'postgres/1';

const keptSchema = z.array(
  z.strictObject({
    name: z.string().min(1),
    /** Below `<prefix>/database/` in the archive. */
    directory: z.string().regex(/^[A-Za-z0-9_%-]+$/),
    bytes: z
      .string()
      .regex(/^\d{1,19}$/)
      .transform(BigInt),
    roles: z.array(z.string()),
  }),
);

export interface PostgresFacts {
  /** "15.18" */
  readonly serverVersion: string;
  readonly serverMajor: number;
  /** Of pg_dump: an older pg_restore cannot read what it wrote. */
  readonly dumpMajor: number;
  readonly databases: readonly DatabaseFacts[];
  readonly configuration: readonly string[];
  readonly configurationBytes: bigint;
}

export interface DatabaseFacts {
  readonly name: string;
  readonly directory: string;
  /** What it took on the server's disk, without the data left out. */
  readonly bytes: bigint;
  readonly roles: readonly string[];
}

const factsSchema = z.object({
  format: z.literal(FORMAT),
  serverVersion: z.string(),
  serverMajor: z.coerce.number().int().positive(),
  dumpMajor: z.coerce.number().int().positive(),
  databases: json(keptSchema),
  configuration: json(z.array(z.string().startsWith('/'))),
  configurationBytes: z
    .string()
    .regex(/^\d{1,19}$/)
    .transform(BigInt),
});

function json<T>(schema: z.ZodType<T>) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch (error) {
        context.addIssue(error instanceof Error ? error.message : String(error));
        return z.NEVER;
      }
    })
    .pipe(schema);
}

export function encodeFacts(facts: PostgresFacts): Record<string, string> {
  return {
    format: FORMAT,
    serverVersion: facts.serverVersion,
    serverMajor: String(facts.serverMajor),
    dumpMajor: String(facts.dumpMajor),
    databases: JSON.stringify(facts.databases.map((database) => ({ ...database, bytes: String(database.bytes) }))),
    configuration: JSON.stringify(facts.configuration),
    configurationBytes: String(facts.configurationBytes),
  };
}

/** @throws AppError DAMAGED */
export function decodeFacts(facts: Readonly<Record<string, string>>): PostgresFacts {
  const parsed = factsSchema.safeParse(facts);
  if (parsed.success) return parsed.data;
  throw new AppError('DAMAGED', `the manifest does not say what this backup holds: ${z.prettifyError(parsed.error)}`);
}
