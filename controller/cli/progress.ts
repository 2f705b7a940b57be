/** A run's progress, source by source: bars on a terminal, a line a change elsewhere. On standard error. */
import { MultiBar } from 'cli-progress';
import type { SingleBar } from 'cli-progress';
import type { Run, SourceRun } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { describeProgress, percent, runState, runStateOf } from './run-view.ts';
import { say } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export interface ProgressView {
  update(run: Run): void;
  /** Something to say between. */
  note(text: string): void;
  close(): void;
}

export function createProgress(terminal: Terminal): ProgressView {
  return terminal.err.isTTY === true ? new Bars(terminal) : new Lines(terminal);
}

function words(source: SourceRun, now: number): string {
  const detail = source.fault === undefined ? describeProgress(source.progress, now) : source.fault.message;
  return `${runState(source.state)}${detail === '' ? '' : `: ${detail}`}`;
}

/** Without a terminal nobody wants a line a second. */
const LINE_EVERY_MS = 5000;

class Lines implements ProgressView {
  readonly #terminal: Terminal;
  readonly #shown = new Map<string, { key: string; text: string; at: number }>();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  update(run: Run): void {
    if (run.sources.length === 0) this.#show('run', runStateOf(run), runStateOf(run));
    for (const source of run.sources) {
      // A new state or phase is said at once, mere bytes now and then.
      const key = `${source.state} ${source.progress?.phase ?? ''}`;
      this.#show(source.source, key, words(source, this.#terminal.clock.now()));
    }
  }

  #show(name: string, key: string, text: string): void {
    const at = this.#terminal.clock.monotonic();
    const before = this.#shown.get(name);
    if (before !== undefined && before.key === key && (before.text === text || at - before.at < LINE_EVERY_MS)) return;
    this.#shown.set(name, { key, text, at });
    say(this.#terminal, `${name.padEnd(10)} ${text}`);
  }

  note(text: string): void {
    say(this.#terminal, text);
  }

  close(): void {
    this.#shown.clear();
  }
}

class Bars implements ProgressView {
  readonly #terminal: Terminal;
  readonly #multi: MultiBar;
  readonly #bars = new Map<string, SingleBar>();
  #waiting = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#multi = new MultiBar({
      stream: terminal.err,
      format: '{name} {bar} {words}',
      barsize: 20,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: true,
      clearOnComplete: false,
      stopOnComplete: false,
      linewrap: false,
      gracefulExit: false,
    });
  }

  update(run: Run): void {
    // Before it starts there is nothing to draw a bar of.
    if (run.sources.length === 0 && this.#waiting !== runStateOf(run)) {
      this.#waiting = runStateOf(run);
      say(this.#terminal, this.#waiting);
    }
    for (const source of run.sources) {
      const state = { name: source.source.padEnd(10), words: words(source, this.#terminal.clock.now()) };
      const value = source.state === RunState.RUN_STATE_SUCCESSFUL ? 100 : (percent(source.progress) ?? 0);
      const bar = this.#bars.get(source.source);
      if (bar === undefined) this.#bars.set(source.source, this.#multi.create(100, value, state));
      else bar.update(value, state);
    }
    this.#multi.update();
  }

  note(text: string): void {
    this.#multi.log(`${text}\n`);
  }

  close(): void {
    this.#multi.update();
    this.#multi.stop();
  }
}
