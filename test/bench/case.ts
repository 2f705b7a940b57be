/**
 * What is measured. A comparison: ours and the peer side by side in one run, interleaved, medians. Or figures of ours alone, against a
 * goal of our own, for what no plain tool does. It measures, and never fails for a figure.
 */

export type BenchCase = Comparison | Measurement;

export interface Measurement {
  readonly name: string;
  /** `directory` is empty and private; `say` is for the reader who waits. */
  figures(directory: string, say: (text: string) => void): Promise<readonly Figure[]>;
}

export interface Figure {
  readonly name: string;
  readonly unit: 'ms' | 's' | 'MiB' | '%' | '×';
  readonly ours: number;
  /** Less is better, and more than this misses. undefined: shown for what it tells of the growth. */
  readonly goal?: number;
}

export interface Comparison {
  readonly name: string;
  /** MB/s: more is better; s: less is. MB is 10^6 bytes. */
  readonly unit: 'MB/s' | 's';
  /** Of ours ÷ peer: at least for MB/s, at most for s. */
  readonly goal: number;
  readonly rounds?: number;
  /** `directory` is empty and private. */
  setUp(directory: string): Promise<Contest>;
}

export interface Contest extends AsyncDisposable {
  /** Each answers one figure in the case's unit. */
  ours(): Promise<number>;
  peer(): Promise<number>;
  /** Lines for the reader: what else was seen. */
  notes?(): readonly string[];
}

/** null: there is none. `goal` is of the ratio where there is a peer, else of ours. */
export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly goal: number | null;
  readonly holds: boolean | null;
  readonly notes: readonly string[];
}

const ROUNDS = 5;

export async function measure(one: BenchCase, directory: string, say: (text: string) => void): Promise<readonly Result[]> {
  if (!('figures' in one)) return [await compare(one, directory, say)];
  const figures = await one.figures(directory, say);
  return figures.map(({ goal = null, ...figure }) => {
    const holds = goal === null ? null : figure.ours <= goal;
    return { ...figure, name: `${one.name}: ${figure.name}`, peer: null, ratio: null, goal, holds, notes: [] };
  });
}

async function compare(one: Comparison, directory: string, say: (text: string) => void): Promise<Result> {
  await using contest = await one.setUp(directory);
  const ours: number[] = [];
  const peer: number[] = [];
  const rounds = one.rounds ?? ROUNDS;
  for (let round = 0; round < rounds; round++) {
    // Who begins changes: neither is always the one that finds the caches warm.
    const turns = round % 2 === 0 ? (['ours', 'peer'] as const) : (['peer', 'ours'] as const);
    for (const turn of turns) (turn === 'ours' ? ours : peer).push(await contest[turn]());
    say(`${one.name} ${round + 1}/${rounds}: ours ${show(ours.at(-1))}, peer ${show(peer.at(-1))} ${one.unit}`);
  }
  const ratio = median(ours) / median(peer);
  return {
    name: one.name,
    unit: one.unit,
    ours: median(ours),
    peer: median(peer),
    ratio,
    goal: one.goal,
    holds: one.unit === 's' ? ratio <= one.goal : ratio >= one.goal,
    notes: contest.notes?.() ?? [],
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The least of the values that `percent` of them do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}

export function show(figure: number | null | undefined): string {
  return typeof figure !== 'number' ? '-' : figure.toPrecision(4).replace(/\.?0+$/, '');
}

/** Seconds that `act` takes. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return (performance.now() - began) / 1000;
}
