/** Writes the index of a point: every entry of the tree, and the numbers of the archives that it refers to. */
import { AppError } from '#common/errors.ts';
import { writePortions } from '../portions.ts';
import { endLine, entryLine, headLine } from './index-lines.ts';
import type { IndexEntry, Location, PointEntry, Reference } from './point.ts';

export interface PointIndexWriter {
  /** In tree order. `location`: of content that is in the archive of this backup file. @throws AppError BUG */
  entry(entry: PointEntry, location: Location | undefined): void;
  /** The file is whole when it returns. */
  end(): PointTotals;
  /** Gives the file up as it stands. */
  abandon(): void;
}

export interface PointTotals {
  readonly entries: number;
  /** Of all files of the point. */
  readonly contentBytes: bigint;
  /** In the order of their numbers, from 1. */
  readonly references: readonly Reference[];
}

/** Synchronous, a portion of lines at a time: what it keeps grows with the references only. The file must not exist. */
export function writePointIndex(path: string): PointIndexWriter {
  const portions = writePortions(path);
  const references: Reference[] = [];
  const numbers = new Map<string, number>();
  let entries = 0;
  let contentBytes = 0n;
  portions.line(headLine());

  function numberOf(reference: Reference): number {
    const known = numbers.get(reference.manifest);
    if (known !== undefined) return known;
    const number = references.push(reference);
    numbers.set(reference.manifest, number);
    return number;
  }

  function contentOf({ path: name, content }: PointEntry, location: Location | undefined): IndexEntry['content'] {
    if (content?.kind === 'kept') return { in: numberOf(content.in), location: content.location };
    if ((content === undefined) !== (location === undefined)) throw new AppError('BUG', `index ${name}: where its content lies`);
    return location === undefined ? undefined : { in: 0, location };
  }

  return {
    entry(entry, location) {
      portions.line(entryLine(entry, contentOf(entry, location)));
      entries++;
      contentBytes += entry.size;
    },
    end() {
      portions.line(endLine({ entries, contentBytes }));
      portions.end();
      return { entries, contentBytes, references };
    },
    abandon: portions.abandon,
  };
}
