/** Which controller to dial next, and when: the one that was told to lead, else each in turn, with growing pauses where none welcomes. */
import type { AppError } from '#common/errors.ts';
import { leaderOf } from '#common/fault-trailer.ts';

/** Of a line to a controller. */
export interface End {
  readonly welcomed: boolean;
  readonly error?: AppError;
}

export interface Itinerary {
  next(): string;
  /** Milliseconds, before the next is dialled. */
  pauseAfter(end: End): number;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** Among several: whoever takes over must be found within seconds. */
const LONGEST_OF_MANY_MS = 1000;

export function planItinerary(addresses: readonly string[]): Itinerary {
  const longest = addresses.length > 1 ? LONGEST_OF_MANY_MS : LONGEST_PAUSE_MS;
  let turn = 0;
  let dialled = '';
  let told: string | undefined;
  let pause = FIRST_PAUSE_MS;
  return {
    next() {
      // A leader that is told and not there may have just died: the others are asked all the same.
      dialled = told ?? addresses[turn++ % addresses.length] ?? '';
      return dialled;
    },
    pauseAfter({ welcomed, error }) {
      const leader = error === undefined ? undefined : leaderOf(error);
      told = leader === dialled ? undefined : leader;
      pause = welcomed ? FIRST_PAUSE_MS : Math.min(pause * 2, longest);
      return told === undefined ? pause : FIRST_PAUSE_MS;
    },
  };
}
