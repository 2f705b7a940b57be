/** What the manifest of a point of HDFS says of it: of one that an incremental builds on, and for a restore. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import type { RootSnapshot } from './snapshots.ts';

export interface HdfsFacts {
  readonly nameService: string;
  /** What was selected, in order. */
  readonly selected: readonly string[];
  readonly excludes: readonly string[];
  readonly snapshots: readonly RootSnapshot[];
}

const paths = z.array(z.string());
const snapshots = z.array(
  z.object({ path: z.string(), fileId: z.string().transform(BigInt), snapshot: z.string(), takenMs: z.int() }),
);

export function encodeFacts({ nameService, selected, excludes, snapshots: taken }: HdfsFacts): Readonly<Record<string, string>> {
  return {
    nameService,
    selected: JSON.stringify(selected),
    excludes: JSON.stringify(excludes),
    snapshots: JSON.stringify(taken.map((each) => ({ ...each, fileId: String(each.fileId) }))),
  };
}

/** @throws AppError DAMAGED */
export function decodeFacts(facts: Readonly<Record<string, string>>): HdfsFacts {
  try {
    const json = (name: string): unknown => JSON.parse(facts[name] ?? '');
    return {
      nameService: facts['nameService'] ?? '',
      selected: paths.parse(json('selected')),
      excludes: paths.parse(json('excludes')),
      snapshots: snapshots.parse(json('snapshots')),
    };
  } catch (error) {
    throw new AppError('DAMAGED', 'the manifest does not say what of HDFS it is of', { cause: error });
  }
}
