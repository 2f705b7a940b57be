/** A run in words and as JSON. */
import { RunKind, Trigger } from '#common/gen/holdfast/v1/admin.ts';
import type { Run, SourceRun } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import type { Progress } from '#common/gen/holdfast/v1/types.ts';
import { duration, size, word } from './output.ts';

export function runState(state: RunState): string {
  return word(RunState, state, 'RUN_STATE_');
}

/** With its place in the queue. */
export function runStateOf(run: Run): string {
  return run.queuePosition > 0 ? `${runState(run.state)}, number ${run.queuePosition} in the queue` : runState(run.state);
}

/** The set that a restore reads, or that a backup made: a run that stored nothing has made none. */
export function setOf(run: Run): string {
  const exists = run.kind === RunKind.RUN_KIND_RESTORE || run.sources.some(({ file }) => file !== undefined);
  return exists ? run.setId : '';
}

const ENDED: readonly RunState[] = [
  RunState.RUN_STATE_SUCCESSFUL,
  RunState.RUN_STATE_FAILED,
  RunState.RUN_STATE_STOPPED,
  RunState.RUN_STATE_SKIPPED,
];

export function hasEnded(run: Run): boolean {
  return ENDED.includes(run.state);
}

/** An automatic run that did not happen. */
export function isSkipped(run: Run): boolean {
  return run.state === RunState.RUN_STATE_SKIPPED;
}

const LONGEST_REASON = 160;

/** Why it failed or was skipped, in one line; whole in `run show`. */
export function runReason({ fault }: Run): string {
  const line = (fault?.message ?? '').replaceAll(/\s+/g, ' ');
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 1)}…` : line;
}

export function runKind(run: Run): string {
  return word(RunKind, run.kind, 'RUN_KIND_');
}

export function runTrigger(run: Run): string {
  return word(Trigger, run.trigger, 'TRIGGER_');
}

export function runView(run: Run) {
  return {
    ...run,
    kind: runKind(run),
    state: runState(run.state),
    trigger: runTrigger(run),
    queuePosition: run.queuePosition === 0 ? undefined : run.queuePosition,
    sources: run.sources.map((source) => ({ ...source, state: runState(source.state) })),
  };
}

/** How much of it is done, 0 to 100, or undefined while the whole is unknown. An estimate may be exceeded; then it is as good as done. */
export function percent(progress: Progress | undefined): number | undefined {
  if (progress === undefined || progress.totalBytes <= 0n) return undefined;
  return Math.min(100, Number((progress.doneBytes * 100n) / progress.totalBytes));
}

/** "store 1.2 GB of 3 GB, 40 %, 120 MB/s, 15s left"; `now` in epoch milliseconds. */
export function describeProgress(progress: Progress | undefined, now: number): string {
  if (progress === undefined) return '';
  const done = percent(progress);
  const left = (Number(progress.estimatedEndMs) - now) / 1000;
  const parts = [
    `${progress.phase} ${size(progress.doneBytes)}${progress.totalBytes > 0n ? ` of ${size(progress.totalBytes)}` : ''}`.trim(),
    done === undefined ? '' : `${done} %`,
    progress.bytesPerSecond > 0n ? `${size(progress.bytesPerSecond)}/s` : '',
    progress.estimatedEndMs > 0n && left > 0 ? `${duration(left)} left` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

export function runSeconds(of: Pick<Run | SourceRun, 'startedMs' | 'endedMs'>, now: number): string {
  if (of.startedMs === 0n) return '-';
  return duration((Number(of.endedMs === 0n ? BigInt(now) : of.endedMs) - Number(of.startedMs)) / 1000);
}
