/** What HDFS says of a file or directory. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';

export interface FileStatus {
  /** The last part of its path; empty for the path that was asked for. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly size: bigint;
  readonly owner: string;
  readonly group: string;
  /** Permission bits with sticky: 0o1777 at most. */
  readonly mode: number;
  readonly accessMs: number;
  readonly modifiedMs: number;
  readonly replication: number;
  readonly blockSize: bigint;
  /** Of this file for ever, whatever it is called. */
  readonly fileId: bigint;
  /** 0: none of its own. */
  readonly storagePolicy: number;
  readonly hasAcl: boolean;
  readonly encrypted: boolean;
  /** Name of the erasure-coding policy; undefined: replicated. */
  readonly ecPolicy: string | undefined;
  readonly snapshottable: boolean;
}

const TYPES = { FILE: 'file', DIRECTORY: 'directory', SYMLINK: 'symlink' } as const;
/** Of bytes there may be more than a number of JSON holds exactly, 9 PB: they are only shown. */
export const amount = z
  .number()
  .nonnegative()
  .transform((value) => BigInt(Math.round(value)));
const count = z.int().nonnegative();

/** Fields that are false or absent stand in an answer only where they are not. */
export const fileStatus = z
  .object({
    pathSuffix: z.string(),
    type: z.enum(['FILE', 'DIRECTORY', 'SYMLINK']),
    length: count,
    owner: z.string(),
    group: z.string(),
    permission: z.string().regex(/^[0-7]{1,4}$/),
    accessTime: z.int(),
    modificationTime: z.int(),
    replication: count,
    blockSize: count,
    fileId: count,
    storagePolicy: count.default(0),
    aclBit: z.boolean().default(false),
    encBit: z.boolean().default(false),
    ecPolicy: z.string().optional(),
    snapshotEnabled: z.boolean().default(false),
  })
  .transform((status): FileStatus => ({
    name: status.pathSuffix,
    type: TYPES[status.type],
    size: BigInt(status.length),
    owner: status.owner,
    group: status.group,
    mode: Number.parseInt(status.permission, 8),
    accessMs: status.accessTime,
    modifiedMs: status.modificationTime,
    replication: status.replication,
    blockSize: BigInt(status.blockSize),
    fileId: BigInt(status.fileId),
    storagePolicy: status.storagePolicy,
    hasAcl: status.aclBit,
    encrypted: status.encBit,
    ecPolicy: status.ecPolicy === '' ? undefined : status.ecPolicy,
    snapshottable: status.snapshotEnabled,
  }));

/** @throws AppError FAILED: it is not what a NameNode says. */
export function parseAnswer<T extends z.ZodType>(schema: T, answer: unknown, doing: string): z.output<T> {
  const parsed = schema.safeParse(answer);
  if (!parsed.success) throw new AppError('FAILED', `${doing}: the answer is not understood: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
