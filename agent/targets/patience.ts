/** How long a standby is waited for: for as long as it takes bytes, but not for ever. One that is given up is left out. */
import { systemClock } from '#common/clock.ts';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { heldBy, stirred } from './branch.ts';
import type { Branch } from './branch.ts';
import type { Stored } from './target.ts';

export interface PatienceOptions {
  /** How long the standby may take nothing while it is waited for. */
  readonly standbyStallMs?: number;
  /** How long it may be waited for in all, beyond as long as everything else takes. */
  readonly standbyDelayMs?: number;
  /** How long it may take, when it has taken every byte, until its copy is durable too. */
  readonly standbyEndMs?: number;
  readonly clock?: Clock;
}

/** With the pieces in which bytes are handed on: a line of 35 kbit/s is kept. */
const STANDBY_STALL_MS = 60_000;
const STANDBY_DELAY_MS = 6 * 3_600_000;
/** Flushing a large file to a slow disk takes minutes. */
const STANDBY_END_MS = 600_000;

export interface Patience {
  readonly clock: Clock;
  readonly stallMs: number;
  readonly delayMs: number;
  readonly endMs: number;
  readonly startedMs: number;
  /** For which nothing but the standby was waited. */
  waitedMs: number;
}

export function patienceOf(options: PatienceOptions): Patience {
  const clock = options.clock ?? systemClock;
  return {
    clock,
    stallMs: options.standbyStallMs ?? STANDBY_STALL_MS,
    delayMs: options.standbyDelayMs ?? STANDBY_DELAY_MS,
    endMs: options.standbyEndMs ?? STANDBY_END_MS,
    startedMs: clock.monotonic(),
    waitedMs: 0,
  };
}

/** For as long as it moves: one that takes no piece any more is left out, and one that costs too much time. */
export async function waitFor(
  standby: Branch,
  ready: () => boolean,
  signs: readonly Branch[],
  patience: Patience,
): Promise<void> {
  const { clock, stallMs, delayMs, startedMs } = patience;
  while (!ready() && !standby.pipe.destroyed) {
    const held = heldBy(standby);
    const since = clock.monotonic();
    const late = await stirred(signs, { clock, ms: stallMs });
    const now = clock.monotonic();
    patience.waitedMs += now - since;
    const othersMs = now - startedMs - patience.waitedMs;
    if (patience.waitedMs > delayMs + othersMs) {
      leaveOut(standby, `has held up the backup for ${Math.round(patience.waitedMs / 60_000)} min in all and is left out`);
    } else if (late && !ready() && heldBy(standby) === held) {
      leaveOut(standby, `took no bytes for ${stallMs / 1000} s and is left out`);
    }
  }
}

/** What it lags behind is waited for like the rest; only then does the time for its end begin. */
export async function endOf(standby: Branch, patience: Patience): Promise<Stored | AppError> {
  const { clock, endMs } = patience;
  await waitFor(standby, () => standby.pipe.readableEnded, [standby], patience);
  const ended = new AbortController();
  const late = () => leaveOut(standby, `took every byte, did not end within ${endMs / 1000} s after that and is left out`);
  clock.sleep(endMs, ended.signal).then(late, () => undefined);
  const stored = await standby.done;
  ended.abort();
  return stored;
}

function leaveOut({ vault, pipe, stop }: Branch, why: string): void {
  stop.abort(
    new AppError('TIMEOUT', `${vault.target.name} ${why}`, {
      hint: `Look at the disk of node ${vault.node} and at the line to it; what it lacks is copied there when the backup has ended.`,
    }),
  );
  pipe.destroy();
}
