/** Where a running NameNode keeps its metadata, as it says itself: a configuration file tells only what it would read at its next start. */
import { realpath } from 'node:fs/promises';
import { request } from 'undici';
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import type { NameNodeSettings } from './settings.ts';

export interface Storage {
  /** Of the NameNode: "3.3.6". */
  readonly softwareVersion: string;
  /** Name and edits directories in use. */
  readonly directories: string[];
  /** Those that it has given up. */
  readonly failed: string[];
  /** Edits kept otherwise than in a directory: by JournalNodes, where there is more than one NameNode. */
  readonly journals: string[];
}

const ANSWERS_WITHIN_MS = 10_000;
/** A string that holds JSON. */
export const jsonText = z.string().transform((value, context): unknown => {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue('is no JSON');
    return z.NEVER;
  }
});
const directories = z.record(z.string(), z.string());
const infoSchema = z.object({
  beans: z.tuple([
    z.object({
      SoftwareVersion: z.string(),
      NameDirStatuses: jsonText.pipe(z.object({ active: directories, failed: directories })),
      NameJournalStatus: jsonText.pipe(z.array(z.object({ manager: z.string() }))),
    }),
  ]),
});

/** @throws AppError when it does not answer, or not so. */
export async function askStorage(settings: NameNodeSettings, signal: AbortSignal): Promise<Storage> {
  const doing = `ask the NameNode at ${settings.httpAddress} where it keeps its metadata`;
  try {
    const [info] = infoSchema.parse(await askBean(settings, 'NameNodeInfo', signal)).beans;
    return {
      softwareVersion: info.SoftwareVersion,
      directories: Object.keys(info.NameDirStatuses.active),
      failed: Object.keys(info.NameDirStatuses.failed),
      journals: info.NameJournalStatus.map(({ manager }) => manager).filter((name) => !name.startsWith('FileJournalManager(')),
    };
  } catch (error) {
    const failure = toAppError(error, doing);
    throw new AppError(failure.code, failure.message, {
      cause: failure,
      hint: 'Check nameNode.httpAddress and httpScheme: /jmx there must answer this node.',
    });
  }
}

/** One of what /jmx shows. */
export async function askBean(
  { httpScheme, httpAddress }: NameNodeSettings,
  name: string,
  signal: AbortSignal,
): Promise<unknown> {
  const response = await request(`${httpScheme}://${httpAddress}/jmx?qry=Hadoop:service=NameNode,name=${name}`, {
    signal,
    headersTimeout: ANSWERS_WITHIN_MS,
    bodyTimeout: ANSWERS_WITHIN_MS,
  });
  return response.body.json();
}

/** Whether two lists name the same directories, however they write them. */
export async function sameDirectories(one: readonly string[], other: readonly string[]): Promise<boolean> {
  const real = async (paths: readonly string[]) => (await Promise.all(paths.map(realOrSame))).toSorted().join('\n');
  return (await real(one)) === (await real(other));
}

async function realOrSame(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
