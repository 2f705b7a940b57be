/**
 * Does assignments, stoppable, a few at once, the end of each journaled before it is told. An assignment is done once: the same id
 * again is ignored, and its end is told again until the controller has acknowledged it.
 */
import { mkdir, rm } from 'node:fs/promises';
import pLimit from 'p-limit';
import type { LimitFunction } from 'p-limit';
import { assertNever } from '#common/assert-never.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { SourceName } from '#common/names.ts';
import type { FinishedJob, Job, Outcome, Work } from './job.ts';
import { failureOf, outcomeOf } from './perform.ts';
import type { RunnerOptions } from './runner-options.ts';

export interface Runner {
  start(job: Job): void;
  cancel(assignmentId: string, reason: string): void;
  running(): string[];
  /** Stops what runs and waits for its end. */
  stop(): Promise<void>;
}

export async function createRunner(options: RunnerOptions): Promise<Runner> {
  await rm(options.workDirectory, { recursive: true, force: true });
  await mkdir(options.workDirectory, { recursive: true, mode: 0o700 });
  const active = new Map<string, { controller: AbortController; done: Promise<void> }>();
  // Sources compete for disks and cores; chores for neither with each other. Plans are looked at by a waiting person.
  const limits = { heavy: pLimit(options.concurrency), chores: pLimit(2), plans: pLimit(8) };
  const bySource = new Map<SourceName, LimitFunction>();
  const stopping = new AbortController();

  async function perform(job: Job, signal: AbortSignal): Promise<void> {
    try {
      const outcome = await inTurn(job, signal);
      await endJournaled({ ...job, endedMs: options.clock.now(), outcome }, options, stopping.signal);
    } finally {
      active.delete(job.assignmentId);
    }
  }

  /** One that is stopped while it waits for its turn ends at once: the one before it may take hours. */
  function inTurn(job: Job, signal: AbortSignal): Promise<Outcome> {
    let begun = false;
    const working = queue(job.work)(async () => {
      await options.ready;
      if (signal.aborted) return stopped;
      begun = true;
      return outcomeOf(job, signal, options);
    });
    const stopped = new Promise<Outcome>((resolve) => {
      signal.addEventListener('abort', () => begun || resolve(failureOf(signal.reason, job, signal, options)), { once: true });
    });
    return Promise.race([working, stopped]);
  }

  /** A source is worked on by one at a time: one that was stopped may still be rolling back when the next is given. */
  function queue(work: Work): <T>(act: () => Promise<T>) => Promise<T> {
    const limit = limits[weight(work)];
    const source = sourceOf(work);
    if (source === undefined) return (act) => limit(act);
    const alone = bySource.get(source) ?? pLimit(1);
    bySource.set(source, alone);
    return (act) => alone(() => limit(act));
  }

  return {
    start(job) {
      if (active.has(job.assignmentId)) return;
      const controller = new AbortController();
      const done = perform(job, controller.signal).catch((error: unknown) => {
        options.log.error({ assignment: job.assignmentId, err: error }, 'a fault of the runner: report it');
      });
      active.set(job.assignmentId, { controller, done });
      if (stopping.signal.aborted) controller.abort(stopping.signal.reason);
    },
    cancel(assignmentId, reason) {
      active.get(assignmentId)?.controller.abort(new AppError('STOPPED', reason));
    },
    running: () => [...active.keys()],
    async stop() {
      stopping.abort(new AppError('STOPPED', 'the agent is shutting down'));
      for (const { controller } of active.values()) controller.abort(stopping.signal.reason);
      while (active.size > 0) await Promise.all([...active.values()].map(({ done }) => done));
    },
  };
}

const JOURNAL_RETRY_MS = 5000;

/**
 * Tried until it is written down: a full disk has room again one day. An end that nobody is told would leave the run running for ever, and
 * one that is told but not written down would be taken for cut off, and undone, by the next start.
 */
export async function endJournaled(ended: FinishedJob, options: RunnerOptions, stopping: AbortSignal): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await options.finish(ended);
    } catch (caught) {
      const error = toAppError(caught, 'write down the end of an assignment');
      if (tries === 1)
        options.log.error({ assignment: ended.assignmentId, err: error }, 'the journal cannot be written, trying again');
      if (stopping.aborted) return;
    }
    await options.clock.sleep(JOURNAL_RETRY_MS, stopping).catch(() => undefined);
  }
}

function weight({ kind }: Work): 'heavy' | 'chores' | 'plans' {
  switch (kind) {
    case 'backup':
    case 'restore':
      return 'heavy';
    case 'planRestore':
      return 'plans';
    case 'verify':
    case 'delete':
    case 'mirror':
    case 'inventory':
      return 'chores';
    default:
      return assertNever(kind);
  }
}

/** What it changes or reads as a whole. */
function sourceOf(work: Work): SourceName | undefined {
  if (work.kind === 'backup') return work.source;
  return work.kind === 'restore' ? work.file.source : undefined;
}
