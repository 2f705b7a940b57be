/** The states of a run and of each share of it, and the edges between them. */
export const RUN_STATES = ['waiting', 'running', 'successful', 'failed', 'stopped', 'skipped'] as const;
export type RunState = (typeof RUN_STATES)[number];

const EDGES: Readonly<Record<RunState, readonly RunState[]>> = {
  // Failed at once: its start was refused, or what it needs is gone.
  waiting: ['running', 'failed', 'stopped'],
  running: ['successful', 'failed', 'stopped'],
  successful: [],
  failed: [],
  stopped: [],
  // An automatic run that did not happen. It begins and ends as this: it is a record, not a run.
  skipped: [],
};

/** `from` undefined: the run is new. Writing the same state again changes nothing of it. */
export function mayBecome(from: RunState | undefined, to: RunState): boolean {
  if (from === undefined) return to === 'waiting' || to === 'skipped';
  return from === to || EDGES[from].includes(to);
}

export function hasEnded(state: RunState): boolean {
  return EDGES[state].length === 0;
}
