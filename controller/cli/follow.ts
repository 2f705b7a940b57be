/** Follows a run to its end, also across a restart of the controller: the run goes on in its agents meanwhile. */
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { AppError, ERROR_CODES, fromFault } from '#common/errors.ts';
import type { Clock } from '#common/clock.ts';
import type { Api } from './connect.ts';
import type { ProgressView } from './progress.ts';
import { hasEnded, isSkipped } from './run-view.ts';
import type { Terminal } from './terminal.ts';

/** A controller that is moved or upgraded is back well within this. */
const PATIENCE_MS = 300_000;
const RETRY_MS = 1000;

/** `known`: whether the controller has answered before; the first contact must succeed at once. The run as it ended. */
export async function followRun(api: Api, id: string, known: boolean, view: ProgressView, terminal: Terminal): Promise<Run> {
  const again = new Patience(terminal, view, known);
  for (;;) {
    try {
      for await (const { run } of api.stream(Admin.watchRun, { id }, terminal.signal)) {
        again.reached();
        if (run === undefined) continue;
        view.update(run);
        if (hasEnded(run)) return run;
      }
      await again.wait(new AppError('UNAVAILABLE', `the controller ${api.address} ended the connection`));
    } catch (error) {
      await again.wait(error);
    }
  }
}

/** Waits a moment after an error that passes by itself; gives up with that error when it lasts. */
export class Patience {
  readonly #terminal: Terminal;
  readonly #view: Pick<ProgressView, 'note'>;
  readonly #clock: Clock;
  #reachedAt: number | undefined;
  #away = false;

  constructor(terminal: Terminal, view: Pick<ProgressView, 'note'>, known: boolean) {
    this.#terminal = terminal;
    this.#view = view;
    this.#clock = terminal.clock;
    this.#reachedAt = known ? this.#clock.monotonic() : undefined;
  }

  reached(): void {
    if (this.#away) this.#view.note('the controller is back');
    this.#away = false;
    this.#reachedAt = this.#clock.monotonic();
  }

  async wait(error: unknown): Promise<void> {
    this.#terminal.signal.throwIfAborted();
    const passing = error instanceof AppError && (error.code === 'UNAVAILABLE' || error.code === 'NOT_LEADER');
    if (!passing || this.#reachedAt === undefined || this.#clock.monotonic() - this.#reachedAt > PATIENCE_MS) throw error;
    if (!this.#away) this.#view.note('the controller is away; the run goes on without it; trying to reach it again');
    this.#away = true;
    try {
      await this.#clock.sleep(RETRY_MS, this.#terminal.signal);
    } finally {
      this.#terminal.signal.throwIfAborted();
    }
  }
}

/** @throws AppError of the run's fault, unless it succeeded */
export function requireSuccess(run: Run): void {
  if (run.state === RunState.RUN_STATE_SUCCESSFUL) return;
  const what = `the run ${run.id} of ${run.task}`;
  if (run.state === RunState.RUN_STATE_STOPPED) throw new AppError('STOPPED', `${what} was stopped`);
  const how = isSkipped(run) ? 'was skipped' : 'failed';
  if (run.fault === undefined) throw new AppError('FAILED', `${what} ${how}`, { hint: `Read: holdfast run log ${run.id}` });
  const fault = fromFault(run.fault);
  const hint = fault.hint === '' ? ERROR_CODES[fault.code].hint : fault.hint;
  throw new AppError(fault.code, `${what} ${how}: ${fault.message}`, { hint: `${hint} Its log: holdfast run log ${run.id}` });
}
