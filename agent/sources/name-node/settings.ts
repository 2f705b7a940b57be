/** What an agent must know of the NameNode on its node. */
import { z } from 'zod';
import { absolutePath, duration } from '../postgres/settings.ts';
import { commandSchema } from '../service-switch.ts';

const address = z.string().regex(/^[^\s:/]+:\d{1,5}$/, 'must be host:port');

export const nameNodeSettingsSchema = z
  .strictObject({
    /** dfs.nameservices: a task that names another is not for this NameNode. */
    nameService: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be the name of a NameService')
      .default('hacluster'),
    /** Of the NameNode's web server: its state is read there. */
    httpAddress: address,
    httpScheme: z.enum(['http', 'https']).default('http'),
    rpcAddress: address,
    /** dfs.namenode.name.dir: one of them, on this node; it is read from. */
    nameDirectory: absolutePath,
    /** The others, and dfs.namenode.edits.dir: a restore writes the same into each. */
    otherNameDirectories: z.array(absolutePath).default([]),
    /** Hadoop's `hdfs` command. */
    hdfs: absolutePath,
    /** HADOOP_USER_NAME, where there is no Kerberos: an HDFS superuser. */
    user: z.string().min(1).optional(),
    /** Of each tool. */
    timeout: duration.default(600_000),
    /** Commands that return when it serves, and when it has ended; without them a person stops and starts it. */
    start: commandSchema.optional(),
    stop: commandSchema.optional(),
  })
  .refine(({ start, stop }) => (start === undefined) === (stop === undefined), {
    path: ['stop'],
    error: 'start and stop belong together: what a restore starts it must be able to stop when it rolls back',
  });

export type NameNodeSettings = z.output<typeof nameNodeSettingsSchema>;

export function nameDirectoriesOf({ nameDirectory, otherNameDirectories }: NameNodeSettings): string[] {
  return [nameDirectory, ...otherNameDirectories];
}
