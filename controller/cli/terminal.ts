/** What a command has of the world around it, so that tests can stand in for a terminal. Data go to `out`, everything said to people to `err`. */
import type { Clock } from '#common/clock.ts';

export interface Terminal {
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  /** Whether a person can be asked. */
  readonly interactive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export function say(terminal: Terminal, text: string): void {
  terminal.err.write(`${text}\n`);
}
