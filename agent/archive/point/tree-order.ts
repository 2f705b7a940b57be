/**
 * The order of entries in an index: a directory before what it holds, depth first, and names as HDFS lists them: by the bytes of
 * their UTF-8 taken as signed numbers. So what is not ASCII comes before what is.
 */

/** Below 0 when `a` comes first, 0 when they are the same. Absolute paths. */
export function compareTreeOrder(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const [unitA, unitB] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

const SLASH = 0x2f;

/**
 * Of UTF-16. '/' is below all others, so that `/a/b` comes before `/a-b`. What is not ASCII is below ASCII and in the order of its code
 * points, as the bytes of UTF-8 are, where those that begin a surrogate pair come last.
 */
function rank(unit: number): number {
  if (unit === SLASH) return -0x10_00_00;
  if (unit < 0x80) return unit;
  return (unit >= 0xd8_00 && unit <= 0xdf_ff ? unit + 0x1_00_00 : unit) - 0x8_00_00;
}

/** Whether it can stand in an index: '/', or absolute without a part that is empty, `.` or `..`; no NUL, no half of a character. */
export function isPointPath(path: string): boolean {
  return path === '/' || (path.startsWith('/') && !/\/\.{0,2}(?:\/|$)/.test(path) && !path.includes('\0') && path.isWellFormed());
}
