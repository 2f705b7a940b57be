/** What a selection matches in the tree as it is now. */
import { AppError } from '#common/errors.ts';
import { compareTreeOrder } from '../../archive/point/tree-order.ts';
import type { FileStatus, WebHdfs } from '../../hdfs/webhdfs.ts';
import type { HdfsSelection } from '../point-source.ts';
import { isWithin, join } from './paths.ts';

export interface Selected {
  readonly path: string;
  readonly status: FileStatus;
}

export interface Matches {
  /** In tree order, none below another. */
  readonly selected: readonly Selected[];
  /** What is named and not there, or not to be backed up, each with the reason. */
  readonly faults: readonly string[];
}

export type Excludes = (path: string) => boolean;

export function excludesOf({ excludes }: HdfsSelection): Excludes {
  const patterns = excludes.map(wholeMatch);
  return (path) => patterns.some((pattern) => pattern.test(path));
}

export async function select(hdfs: WebHdfs, selection: HdfsSelection, signal: AbortSignal): Promise<Matches> {
  const isExcluded = excludesOf(selection);
  const found = new Map<string, FileStatus>();
  const faults: string[] = [];

  for (const path of selection.paths) {
    const status = await statusOf(hdfs, path, signal);
    if (status === undefined) faults.push(`${path} does not exist`);
    else found.set(path, status);
  }
  for (const { parent, regex } of selection.patterns) {
    const pattern = wholeMatch(regex);
    const directory = await statusOf(hdfs, parent, signal);
    if (directory?.type !== 'directory') {
      faults.push(directory === undefined ? `${parent} does not exist` : `${parent} is no directory`);
      continue;
    }
    for await (const status of hdfs.list(parent, signal)) {
      if (pattern.test(status.name) && !HIDDEN.has(status.name)) found.set(join(parent, status.name), status);
    }
  }
  for (const [path, { type }] of found) {
    if (isExcluded(path)) found.delete(path);
    else if (isHidden(path)) {
      found.delete(path);
      faults.push(`${path} is, or lies in, a directory of HDFS's own, which is not backed up`);
    } else if (type === 'symlink') {
      found.delete(path);
      faults.push(`${path} is a symbolic link, which cannot be backed up`);
    }
  }
  const paths = [...found.keys()].toSorted(compareTreeOrder);
  const outermost = paths.filter((path) => !paths.some((other) => other !== path && isWithin(path, other)));
  return { selected: outermost.map((path) => ({ path, status: required(found.get(path), path) })), faults };
}

/** What HDFS keeps for itself: a pattern that matches everything does not mean them, and a path that names one is a mistake. */
const HIDDEN: ReadonlySet<string> = new Set(['.snapshot', '.Trash', '.reserved']);

function isHidden(path: string): boolean {
  return path.split('/').some((part) => HIDDEN.has(part));
}

export async function statusOf(hdfs: WebHdfs, path: string, signal: AbortSignal): Promise<FileStatus | undefined> {
  try {
    return await hdfs.status(path, signal);
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** Of the whole text, whatever stands in it. @throws AppError INVALID */
function wholeMatch(regex: string): RegExp {
  try {
    return new RegExp(`^(?:${regex})$`, 'su');
  } catch (error) {
    throw new AppError('INVALID', `${JSON.stringify(regex)} is no regular expression`, { cause: error });
  }
}

function required(status: FileStatus | undefined, path: string): FileStatus {
  if (status === undefined) throw new AppError('BUG', `${path} was selected and is not there`);
  return status;
}
