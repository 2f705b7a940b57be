/** Whether a run may be asked for, which of those that wait starts next, and whether a backup may start as things stand. */
import type { Limits } from './limits.ts';
import { placeOf } from './placement.ts';
import type { PlacedAgent } from './placement.ts';

export type Request = { readonly kind: 'accept' } | { readonly kind: 'refuse'; readonly full: boolean; readonly reason: string };

/** Rule: a running task cannot be executed again; at most so many wait. */
export function mayRequest(
  task: string,
  open: readonly { readonly task: string; readonly state: string }[],
  limits: Pick<Limits, 'waitingRuns'>,
): Request {
  const own = open.find((run) => run.task === task);
  if (own !== undefined) {
    return {
      kind: 'refuse',
      full: false,
      reason: `${task} is ${own.state} already, and cannot be executed again until that has ended`,
    };
  }
  if (open.filter(({ state }) => state === 'waiting').length >= limits.waitingRuns) {
    return { kind: 'refuse', full: true, reason: `${limits.waitingRuns} runs wait already, and no more may` };
  }
  return { kind: 'accept' };
}

export interface OpenRun {
  readonly id: string;
  readonly running: boolean;
  readonly sources: readonly string[];
}

/**
 * Rule: one run at a time (a setting), and never two that share a data source. `open` stands in the order of asking: a run passes
 * another that must wait only when it takes nothing that the other needs. `held`: those that cannot start as things stand.
 */
export function nextToStart(
  open: readonly OpenRun[],
  limits: Pick<Limits, 'concurrentRuns'>,
  held: ReadonlySet<string> = new Set(),
): string | undefined {
  const running = open.filter((run) => run.running);
  if (running.length >= limits.concurrentRuns) return undefined;
  const taken = new Set(running.flatMap(({ sources }) => sources));
  for (const { id, sources } of open.filter((run) => !run.running)) {
    if (!held.has(id) && !sources.some((source) => taken.has(source))) return id;
    for (const source of sources) taken.add(source);
  }
  return undefined;
}

export interface VaultState {
  readonly node: string;
  readonly connected: boolean;
  readonly freeBytes: bigint | undefined;
}

export type Start =
  | {
      readonly kind: 'start';
      readonly placed: readonly { readonly source: string; readonly node: string }[];
      readonly unplaced: readonly string[];
    }
  | { readonly kind: 'refuse'; readonly noSpace: boolean; readonly reason: string };

/** Rule: the LocalBackup partition of the active management node has more than `minimumFreeBytes` free, or the run does not start. */
export function mayStart(of: {
  readonly sources: readonly string[];
  readonly agents: readonly PlacedAgent[];
  readonly active: VaultState;
  readonly minimumFreeBytes: bigint;
}): Start {
  const { active, minimumFreeBytes } = of;
  const refuse = (reason: string, noSpace = false): Start => ({ kind: 'refuse', noSpace, reason });
  if (!active.connected) return refuse(`the agent of the active management node ${active.node} is not connected`);
  if (active.freeBytes === undefined) return refuse(`the agent of the active management node ${active.node} holds no vault`);
  if (active.freeBytes <= minimumFreeBytes) {
    return refuse(
      `the LocalBackup partition of ${active.node} has ${gigabytes(active.freeBytes)} GB free, and more than ${gigabytes(minimumFreeBytes)} GB are required`,
      true,
    );
  }
  const placed = of.sources.map((source) => ({ source, node: placeOf(source, of.agents) }));
  return {
    kind: 'start',
    placed: placed.flatMap(({ source, node }) => (node === undefined ? [] : [{ source, node }])),
    unplaced: placed.flatMap(({ source, node }) => (node === undefined ? [source] : [])),
  };
}

function gigabytes(bytes: bigint): string {
  return (Number(bytes) / 1e9).toFixed(1);
}
