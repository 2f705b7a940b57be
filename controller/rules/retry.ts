/** When a chore that failed is tried again. */

/** Soon enough for an operator who watches. */
const FIRST_MS = 10_000;
/** Copying a damaged terabyte again and again would be all that the vaults do. */
const LONGEST_MS = 3_600_000;

/** `failures` in a row so far, at least one. One whose other side was away costs nothing to try, and is tried as soon as ever. */
export function retryAfterMs(failures: number, otherSideAway: boolean, lease: number): number {
  const first = Math.min(FIRST_MS, lease);
  return otherSideAway ? first : Math.min(first * 2 ** Math.min(failures - 1, 30), LONGEST_MS);
}
