/** Takes an assignment: journaled, then begun. One that was begun or has ended already is not done twice. */
import pLimit from 'p-limit';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError, toFault } from '#common/errors.ts';
import type { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { jobOf } from '../session/from-proto.ts';
import type { Journal } from '../session/journal.ts';
import { finishedMessage } from '../session/to-proto.ts';
import type { Job } from './job.ts';
import type { Runner } from './runner.ts';

export interface AcceptIo {
  readonly journal: Journal;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly tell: (finished: Finished) => void;
}

/** One after another: one given twice must not end between the second look for it and its beginning. */
export function createAccepting(io: AcceptIo): (assign: Assign) => Promise<void> {
  const inTurn = pLimit(1);
  return (assign) => inTurn(() => accept(assign, io));
}

async function accept(assign: Assign, { journal, runner, clock, tell }: AcceptIo): Promise<void> {
  const isThis = ({ assignmentId }: { assignmentId: string }) => assignmentId === assign.assignmentId;
  // In this order: an end is journaled before it stops to count as running or begun.
  if (runner.running().includes(assign.assignmentId) || (await journal.begun()).some(isThis)) return;
  const ended = (await journal.finished()).find(isThis);
  if (ended !== undefined) return tell(ended);

  let job: Job;
  try {
    job = jobOf(assign);
    const damaged = await journal.damagedOf(assign.assignmentId);
    if (damaged !== undefined) throw begunBefore(assign, damaged);
    await journal.begin(assign);
  } catch (caught) {
    // Told without being journaled: it may be the journal that fails. Given again, it is refused again.
    const error = toAppError(caught, `take the assignment ${assign.assignmentId}`);
    const kind = error.code === 'UNKNOWN_STATE' ? 'unknownState' : 'failed';
    return tell(finishedMessage({ ...assign, endedMs: clock.now(), outcome: { kind, fault: toFault(error) } }));
  }
  runner.start(job);
}

/** Doing it again could switch a restore on top of one that is half switched. */
function begunBefore({ assignmentId, work }: Assign, damaged: string): AppError {
  const code = work?.$case === 'restore' ? 'UNKNOWN_STATE' : 'DAMAGED';
  return new AppError(
    code,
    `the assignment ${assignmentId} was begun before, and how far it came is unknown: ${damaged} cannot be read`,
    {
      hint: 'Look at that file and at the disk that it lies on, then run it again.',
    },
  );
}
