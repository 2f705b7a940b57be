/**
 * How our snapshots are called: `holdfast_<task>_<task creation time>_<run start>`, and `_a` at the end when we were the ones who allowed the
 * directory to have snapshots, so that it can be put back when the last of ours goes, whatever became of the agent's own memory.
 */
import { diskTime } from '#common/clock.ts';
import type { TaskName } from '../point-source.ts';

const OURS = /^holdfast_[A-Za-z0-9_]{3,128}_\d{14}_\d{14}(?<allowed>_a)?$/;

export function prefixOf({ name, createdMs }: TaskName): string {
  return `holdfast_${name}_${diskTime(createdMs)}_`;
}

export function snapshotName(task: TaskName, startedMs: number, allowedByUs: boolean): string {
  return `${prefixOf(task)}${diskTime(startedMs)}${allowedByUs ? '_a' : ''}`;
}

/** Whichever of the two a run has given to its snapshots. */
export function isOfRun(snapshot: string, task: TaskName, startedMs: number): boolean {
  return [true, false].some((allowed) => snapshot === snapshotName(task, startedMs, allowed));
}

export function isOfTask(snapshot: string, task: TaskName): boolean {
  return snapshot.startsWith(prefixOf(task)) && /^\d{14}(?:_a)?$/.test(snapshot.slice(prefixOf(task).length));
}

export function isOurs(snapshot: string): boolean {
  return OURS.test(snapshot);
}

/** Whether it says that we allowed its directory to have snapshots. */
export function saysAllowed(snapshot: string): boolean {
  return OURS.exec(snapshot)?.groups?.['allowed'] !== undefined;
}
