/** What was done to the nodes, and when: what a run that failed may be excused with. Times are of the monotonic clock. */
interface Trouble {
  /** undefined: of every node. */
  readonly node: string | undefined;
  readonly what: string;
  readonly from: number;
  until: number | undefined;
}

export interface Troubles {
  /** Answers what ends it; it still counts for `graceMs` after that. */
  begin(node: string | undefined, what: string): (graceMs: number) => void;
  between(from: number, nodes: readonly string[]): readonly string[];
  /** What was over, but not noticed by a controller that was away, counts until agents have come back to it. */
  controllerCameBack(downSince: number, graceMs: number): void;
}

export function createTroubles(monotonic: () => number): Troubles {
  const all: Trouble[] = [];
  return {
    begin(node, what) {
      const trouble: Trouble = { node, what, from: monotonic(), until: undefined };
      all.push(trouble);
      return (graceMs) => void (trouble.until = monotonic() + graceMs);
    },
    between: (from, nodes) =>
      all
        .filter(({ node, until }) => (node === undefined || nodes.includes(node)) && (until === undefined || until >= from))
        .map(({ node, what }) => `${what}${node === undefined ? '' : ` of ${node}`}`),
    controllerCameBack(downSince, graceMs) {
      for (const trouble of all) {
        if (trouble.until !== undefined && trouble.until >= downSince) trouble.until = monotonic() + graceMs;
      }
    },
  };
}
