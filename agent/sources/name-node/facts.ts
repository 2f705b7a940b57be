/** What the backup of a NameNode remembers for its restore; stands in the manifest. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { ownershipSchema } from '../ownership.ts';
import { jsonText } from './storage.ts';

const factsSchema = z.strictObject({
  clusterId: z.string(),
  namespaceId: z.string(),
  blockPoolId: z.string(),
  layoutVersion: z.string(),
  /** Last transaction in the image, and the last one in the segments after it. */
  imageTxid: z.string().regex(/^\d+$/),
  lastTxid: z.string().regex(/^\d+$/),
  /** Of the name directory. */
  ...ownershipSchema.shape,
  /** Where the NameNode kept its metadata, as JSON: a directory that a restore forgets would win by its newer edits. */
  directories: jsonText.pipe(z.array(z.string())),
  /** Edits kept elsewhere (JournalNodes), as JSON. */
  journals: jsonText.pipe(z.array(z.string())),
});

export type NameNodeFacts = z.output<typeof factsSchema>;

export function encodeFacts(facts: NameNodeFacts): Record<string, string> {
  return { ...facts, directories: JSON.stringify(facts.directories), journals: JSON.stringify(facts.journals) };
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
