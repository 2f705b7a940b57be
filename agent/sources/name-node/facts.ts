/** What the backup of a NameNode remembers for its restore; stands in the manifest. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';

const factsSchema = z.strictObject({
  clusterId: z.string(),
  namespaceId: z.string(),
  blockPoolId: z.string(),
  layoutVersion: z.string(),
  /** Last transaction in the image, and the last one in the segments after it. */
  imageTxid: z.string().regex(/^\d+$/),
  lastTxid: z.string().regex(/^\d+$/),
  /** user:group and octal mode of the name directory. */
  owner: z.string(),
  mode: z.string(),
});

export type NameNodeFacts = z.infer<typeof factsSchema>;

export function encodeFacts(facts: NameNodeFacts): Record<string, string> {
  return { ...facts };
}

/** @throws AppError DAMAGED */
export function decodeFacts(facts: Readonly<Record<string, string>>): NameNodeFacts {
  const parsed = factsSchema.safeParse(facts);
  if (!parsed.success)
    throw new AppError('DAMAGED', `the facts of the NameNode backup cannot be read: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** In the archive: a name directory as a NameNode keeps it, so that it can be used as it is. */
export const ROOT = 'namenode';

/** VERSION is a Java properties file. @throws AppError DAMAGED */
export function parseVersion(text: string): Pick<NameNodeFacts, 'clusterId' | 'namespaceId' | 'blockPoolId' | 'layoutVersion'> {
  const value = (key: string) => {
    const found = new RegExp(`^${key}=(.+)$`, 'm').exec(text)?.[1]?.trim();
    if (found === undefined) throw new AppError('DAMAGED', `the file VERSION of the name directory names no ${key}`);
    return found;
  };
  return {
    clusterId: value('clusterID'),
    namespaceId: value('namespaceID'),
    blockPoolId: value('blockpoolID'),
    layoutVersion: value('layoutVersion'),
  };
}
