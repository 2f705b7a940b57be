/** What an agent must know of the HDFS that it backs up. */
import { z } from 'zod';
import type { WebHdfs } from '../../hdfs/webhdfs.ts';
import { createWebHdfs } from '../../hdfs/webhdfs.ts';
import { sizeSchema } from '../../size-schema.ts';

export const hdfsSettingsSchema = z.strictObject({
  /** dfs.nameservices: a task that names another is not for this cluster. */
  nameService: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be the name of a NameService')
    .default('hacluster'),
  /** dfs.namenode.http-address of the NameNode, or of both of an HA pair. */
  addresses: z
    .array(z.string().regex(/^[^\s:/]+:\d{1,5}$/, 'must be host:port'))
    .min(1)
    .max(2),
  /** Whom HDFS takes the agent to be: a superuser, for snapshots must be allowed and every file read. */
  user: z.string().min(1).default('hdfs'),
  /** Files read or written at once. */
  lanes: z.int().min(1).max(256).default(16),
  /** Of all lanes together, when reading. */
  maxBytesPerSecond: sizeSchema.optional(),
});

export type HdfsSettings = z.output<typeof hdfsSettingsSchema>;

/** Beside the lanes, attributes are asked for. */
export function connectTo({ addresses, user, lanes }: HdfsSettings): WebHdfs {
  return createWebHdfs({ addresses, user, connections: 2 * lanes });
}
