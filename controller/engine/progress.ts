/** Progress of what runs, in memory: a restarted controller hears it anew within seconds. */
import type { Progress } from '#common/gen/holdfast/v1/types.ts';

export interface ProgressBoard {
  set(assignmentId: string, progress: Progress): void;
  of(assignmentId: string): Progress | undefined;
  forget(assignmentId: string): void;
}

export function createProgressBoard(): ProgressBoard {
  const latest = new Map<string, Progress>();
  return {
    set: (id, progress) => void latest.set(id, progress),
    of: (id) => latest.get(id),
    forget: (id) => void latest.delete(id),
  };
}

/** Of the whole run: bytes and rates add up; it ends when its last source does; one unknown total makes the whole unknown. */
export function sumProgress(parts: readonly (Progress | undefined)[]): Progress | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length === 0) return undefined;
  const sum = (pick: (progress: Progress) => bigint) => known.reduce((total, part) => total + pick(part), 0n);
  const whole = known.length === parts.length && known.every(({ totalBytes }) => totalBytes > 0n);
  const running = known.filter(({ phase }) => phase !== 'done');
  const ends = running.map(({ estimatedEndMs }) => estimatedEndMs);
  return {
    phase: [...new Set(running.map(({ phase }) => phase))].join(', '),
    doneBytes: sum(({ doneBytes }) => doneBytes),
    totalBytes: whole ? sum(({ totalBytes }) => totalBytes) : 0n,
    bytesPerSecond: running.reduce((total, part) => total + part.bytesPerSecond, 0n),
    estimatedEndMs: whole && ends.length > 0 && ends.every((end) => end > 0n) ? ends.reduce((a, b) => (a > b ? a : b)) : 0n,
  };
}
