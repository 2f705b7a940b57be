/** Whether a run may be asked for, and whether the one that waits first may start. */

/** At most 199 wait. Documented. */
export const MOST_WAITING = 199;

export type Request = { readonly kind: 'accept' } | { readonly kind: 'refuse'; readonly full: boolean; readonly reason: string };

/** Rule: a running task cannot be executed again. */
export function mayRequest(task: string, open: readonly { readonly task: string; readonly state: string }[]): Request {
  const own = open.find((run) => run.task === task);
  if (own !== undefined) {
    return {
      kind: 'refuse',
      full: false,
      reason: `${task} is ${own.state} already, and cannot be executed again until that has ended`,
    };
  }
  if (open.filter(({ state }) => state === 'waiting').length >= MOST_WAITING) {
    return { kind: 'refuse', full: true, reason: `${MOST_WAITING} runs wait already, and no more may` };
  }
  return { kind: 'accept' };
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
  readonly agents: readonly { readonly node: string; readonly connected: boolean; readonly sources: readonly string[] }[];
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

/** The first connected agent, by name, that offers the source: the same one each time. */
export function placeOf(
  source: string,
  agents: readonly { readonly node: string; readonly connected: boolean; readonly sources: readonly string[] }[],
): string | undefined {
  return agents
    .filter((agent) => agent.connected && agent.sources.includes(source))
    .map(({ node }) => node)
    .sort()
    .at(0);
}

function gigabytes(bytes: bigint): string {
  return (Number(bytes) / 1e9).toFixed(1);
}
