/**
 * On which directories the snapshots of a run are taken. HDFS knows no snapshots within directories that have them: so what lies below
 * one that has is taken from there, and one that lies above one cannot be had.
 */
import type { Selected } from './select.ts';
import { isWithin, parentOf } from './paths.ts';

export interface RootPlan {
  readonly roots: readonly Root[];
  /** Why some selected paths cannot be snapshotted. */
  readonly faults: readonly string[];
}

export interface Root {
  readonly path: string;
  /** It may have snapshots already. */
  readonly isSnapshottable: boolean;
  readonly selected: readonly Selected[];
}

/** `snapshottable`: the directories of HDFS that may have snapshots now. */
export function planRoots(
  selected: readonly Selected[],
  snapshotRoots: readonly string[],
  snapshottable: readonly string[],
): RootPlan {
  const wanted = selected.map((one) => {
    const asked = snapshotRoots.find((root) => isWithin(one.path, root));
    const own = one.status.type === 'directory' ? one.path : parentOf(one.path);
    const place = asked ?? own;
    return { one, place: snapshottable.find((above) => isWithin(place, above)) ?? place };
  });
  const places = [...new Set(wanted.map(({ place }) => place))];
  const outermost = places.filter((place) => !places.some((other) => other !== place && isWithin(place, other)));
  return {
    roots: outermost.map((path) => ({
      path,
      isSnapshottable: snapshottable.includes(path),
      selected: wanted.filter(({ place }) => isWithin(place, path)).map(({ one }) => one),
    })),
    faults: outermost.flatMap((path) => {
      const inTheWay = snapshottable.filter((other) => other !== path && isWithin(other, path));
      return inTheWay.map(
        (other) =>
          `no snapshot can be taken of ${path}, for ${other} below it may have snapshots: select that one, or let whoever uses it take them of ${path}`,
      );
    }),
  };
}
